"""The state port: an ordered map of keys with compare-and-set transactions.

Its height is chosen so that Consul's KV store is one adapter and a table in SQLite another, and so
that all rules about jobs, pages and leases live above it, once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

ANY: Final = -1
"""As `expect`: whatever version the key has, or none."""


class StateEntry(msgspec.Struct, frozen=True):
    """A key as read: `version` grows with every change and is never 0."""

    key: str
    value: bytes
    version: int


class Put(msgspec.Struct, frozen=True):
    """Write a key if it has the version expected; 0 means that it must not exist."""

    key: str
    value: bytes
    expect: int = ANY


class Delete(msgspec.Struct, frozen=True):
    """Remove a key if it has the version expected; with ANY a missing key is no error."""

    key: str
    expect: int = ANY


class Check(msgspec.Struct, frozen=True):
    """Change nothing, but fail the transaction if the key has another version (0: exists)."""

    key: str
    expect: int


Operation = Put | Delete | Check


class Conflict(Exception):
    """A key had another version than expected; nothing was changed."""

    def __init__(self, keys: Sequence[str]) -> None:
        super().__init__(f"changed meanwhile: {', '.join(keys)}")
        self.keys = tuple(keys)


class Lock(ABC):
    """A lock held; it decides who works in the background, never who owns a result."""

    @abstractmethod
    async def held(self) -> bool:
        """Whether it is still ours; False once it expired or the store forgot us."""

    @abstractmethod
    async def release(self) -> None:
        """Give it up; doing so twice, or after its end, does nothing."""


class StatePort(ABC):
    """What a state store promises. Each sentence here is a contract test.

    Keys are ASCII, 1 to 512 characters, ordered as bytes. Values are bytes, empty ones included.
    Every method raises `Unavailable` when the store cannot answer, and then a commit may or may not
    have happened: the caller repeats it, as versions make a repeat harmless or a `Conflict`.
    """

    adapter: ClassVar[str]
    """Name of the adapter, for health and messages."""
    shared: ClassVar[bool]
    """Whether other processes may write too, so that what was read can go stale."""
    bounded: ClassVar[bool] = False
    """Whether it should hold work in flight only, so that history is to be moved to blobs."""
    max_operations: ClassVar[int] = 64
    """Most operations in a transaction."""
    max_bytes: ClassVar[int] = 360_000
    """Most bytes of values in a transaction."""

    @abstractmethod
    async def get(self, keys: Sequence[str]) -> dict[str, StateEntry]:
        """Read keys, as of one moment each; those that do not exist are left out.

        A read sees every commit answered before it began, by whichever process.
        """

    @abstractmethod
    async def scan(self, prefix: str, after: str = "", limit: int = 1000) -> list[StateEntry]:
        """Read up to `limit` keys that begin with `prefix` and sort behind `after`, ascending."""

    @abstractmethod
    async def commit(self, operations: Sequence[Operation]) -> dict[str, int]:
        """Do all operations or none.

        Returns:
            The new version of each key put. It is greater than any version answered before.

        Raises:
            Conflict: When an expected version was not met; names at least one such key.
            TooLarge: When there are more operations or bytes than a transaction takes.
        """

    @abstractmethod
    async def watch(self, prefix: str, after: int, timeout_s: float) -> int:
        """Wait until some key under `prefix` was put or deleted later than moment `after`.

        Args:
            prefix: Where to look.
            after: What an earlier call answered; 0 answers at once with the present moment.
            timeout_s: Longest time to wait, in seconds.

        Returns:
            A moment to pass next time; equal to `after` when nothing happened in time. While no key
            at all lies under the prefix it may answer early, for changes elsewhere.
        """

    @abstractmethod
    async def lock(self, name: str, ttl_s: float) -> Lock | None:
        """Take a lock, or answer None when another holder has it.

        It is kept alive in the background and ends by itself about `ttl_s` after its holder died.
        """

    @abstractmethod
    async def ping(self) -> None:
        """Answer when the store can be read; raise `Unavailable` when not."""

    @abstractmethod
    async def close(self) -> None:
        """Give back connections and locks; afterwards nothing else may be called."""
