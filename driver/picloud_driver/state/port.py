"""The state port: an ordered map of keys with compare-and-set transactions.

Its level is chosen so that Consul's KV store and a table in SQLite are both simple adapters, while
all rules about jobs, pages and leases are above it, written once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

ANY: Final = -1
"""As `expect`: the key may have any version, or not exist."""


class StateEntry(msgspec.Struct, frozen=True):
    """A key as read: `version` grows with every change and is never 0."""

    key: str
    value: bytes
    version: int


class Put(msgspec.Struct, frozen=True):
    """Write a key if it has the expected version; 0 means that it must not exist."""

    key: str
    value: bytes
    expect: int = ANY


class Delete(msgspec.Struct, frozen=True):
    """Remove a key if it has the expected version; with ANY a missing key is not an error."""

    key: str
    expect: int = ANY


class Check(msgspec.Struct, frozen=True):
    """Fail the transaction unless the key has the expected version (0: does not exist)."""

    key: str
    expect: int


Operation = Put | Delete | Check


class Conflict(Exception):
    """A key did not have the expected version; nothing was changed."""

    def __init__(self, keys: Sequence[str]) -> None:
        super().__init__(f"changed meanwhile: {', '.join(keys)}")
        self.keys = tuple(keys)


class StateLock(ABC):
    """A lock; it decides which process does background work, never who owns a result."""

    @abstractmethod
    async def held(self) -> bool:
        """Whether this process still holds it; False once it expired or the store lost it."""

    @abstractmethod
    async def release(self) -> None:
        """Release it; a second release, or one after its end, does nothing."""


class StatePort(ABC):
    """What a state store promises. Each sentence here is a contract test.

    Keys are ASCII, 1 to 512 characters, ordered as bytes. Values are bytes and may be empty.
    Every method raises `Unavailable` when the store cannot answer, and then a commit may or may not
    have been done: the caller repeats it, as versions make a repeat harmless or a `Conflict`.
    """

    adapter: ClassVar[str]
    """Name of the adapter, for health and messages."""
    shared: ClassVar[bool]
    """Whether other processes may write, too, so that cached reads can go stale."""
    bounded: ClassVar[bool] = False
    """Whether it should hold only work in flight, so that history is moved to blobs."""
    max_operations: ClassVar[int] = 64
    """Most operations in a transaction."""
    max_bytes: ClassVar[int] = 360_000
    """Maximum number of bytes of values in a transaction."""

    @abstractmethod
    async def get(self, keys: Sequence[str]) -> dict[str, StateEntry]:
        """Read keys, each as of one moment; keys that do not exist are omitted.

        A read sees every commit of any process that was completed before it began.
        """

    @abstractmethod
    async def scan(self, prefix: str, after: str = "", limit: int = 1000) -> list[StateEntry]:
        """Read up to `limit` keys that begin with `prefix` and sort after `after`, ascending."""

    @abstractmethod
    async def commit(self, operations: Sequence[Operation]) -> dict[str, int]:
        """Do all operations or none.

        Returns:
            The new version of each key put. It is greater than any version returned before.

        Raises:
            Conflict: When a key did not have the expected version; names at least one such key.
            TooLarge: When there are more operations or bytes than a transaction may have.
        """

    @abstractmethod
    async def watch(self, prefix: str, after: int, timeout_s: float) -> int:
        """Wait until some key under `prefix` was put or deleted later than moment `after`.

        Args:
            prefix: The keys to watch.
            after: The result of an earlier call; 0 returns the present moment at once.
            timeout_s: Longest time to wait, in seconds.

        Returns:
            The moment for the next call; equal to `after` if nothing changed in time. If no key has
            the prefix, it may return early, for changes elsewhere.
        """

    @abstractmethod
    async def lock(self, name: str, ttl_s: float) -> StateLock | None:
        """Take a lock; return None if another process or task holds it.

        It is renewed in the background and ends by itself about `ttl_s` after its holder died.
        """

    @abstractmethod
    async def ping(self) -> None:
        """Return if the store can be read, else raise `Unavailable`."""

    @abstractmethod
    async def close(self) -> None:
        """Close connections and release locks; afterwards no method may be called."""
