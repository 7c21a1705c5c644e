"""The scheduler port: starts, stops and watches worker slots."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence


class Pool(msgspec.Struct, frozen=True, order=True):
    """Identifies slots that are equal: same account, core type, number of cores, image.

    `image` is the digest of an environment's image, or "" for the base.
    """

    account: str
    core_type: str
    cores: int
    image: str = ""


class Burst(msgspec.Struct, frozen=True):
    """A request for `count` slots of a pool; `name` is unique and safe in any URL or jobspec."""

    name: str
    pool: Pool
    count: int


class Placement(msgspec.Struct, frozen=True):
    """Where a slot runs: `place` is unique among all slots ever started (an allocation)."""

    burst: str
    place: str
    pool: Pool


class SlotPresence(msgspec.Struct, frozen=True):
    """A place as the scheduler sees it: pending, or running."""

    burst: str
    place: str
    running: bool


class SlotEnd(msgspec.Struct, frozen=True, kw_only=True):
    """A place that ended; `clean` means exit status 0, anything else a problem of the machine.

    It was `ended_from_outside` if the server stopped it or its machine was lost: then no job of the
    slot is to blame.
    """

    burst: str
    place: str
    clean: bool
    detail: str = ""
    ended_from_outside: bool = False


THREADS: Final = "OMP_NUM_THREADS"
"""The variable that OpenMP, OpenBLAS, MKL and others read."""


class SchedulerPort(ABC):
    """What a scheduler promises. Each sentence here is a contract test.

    A slot is a process `python -m picloud_worker` with the API's URL and a proof of its identity
    that no other user of the machine can read. It inherits nothing else of the server's
    environment, files or standard streams. `THREADS` is the number of its cores, as libraries would
    start a thread for each core of the machine. Slots outlive the process that started them. Every
    method raises `Unavailable` when the scheduler cannot answer.
    """

    adapter: ClassVar[str]
    """Name of the adapter, for health and messages."""
    isolates: bool
    """Whether user code in a slot cannot harm the machine and other accounts."""
    shares_files: bool
    """Whether a slot finds the files of the server's machine, under the same paths."""

    @abstractmethod
    async def start(self, burst: Burst) -> None:
        """Request a burst; a repeated request of the same name starts nothing more.

        Raises:
            RequestRefused: When no machine offers the pool's core type; the message says so.
        """

    @abstractmethod
    async def prefetch(self, image: str, instead_of: str) -> None:
        """Let machines that slots of an image have run on fetch another one, which replaces it.

        It does not wait for them. Nothing happens where machines fetch no images.

        Args:
            image: The image that jobs are submitted with from now on.
            instead_of: The one that they were submitted with before.
        """

    @abstractmethod
    async def stop(self, burst: str) -> None:
        """End every slot of a burst; an unknown or ended burst is not an error."""

    @abstractmethod
    async def verify(self, proof: str) -> Placement:
        """Verify the proof of a slot; return where the slot runs.

        Raises:
            SlotRefused: When the proof is forged, expired, or of a place that has ended.
        """

    @abstractmethod
    async def slots(self) -> Sequence[SlotPresence]:
        """Return every pending or running place, also those that earlier processes started."""

    @abstractmethod
    async def ended(self, timeout_s: float) -> Sequence[SlotEnd]:
        """Wait for places to end: returns within 2 s of the first end, or [] after the timeout.

        One process returns each end once; after a restart an end may be returned again. Only
        `slots` is authoritative, this method makes it fast.
        """

    @abstractmethod
    async def capacity(self, core_type: str) -> int:
        """Return how many slots of one core may run at once; 0 if no machine offers the type."""

    @abstractmethod
    async def pending_reason(self, pool: Pool) -> str:
        """Return why requested slots of a pool do not start, or would not, in a sentence, or ""."""

    @abstractmethod
    def page_of(self, place: str) -> str:
        """Return the URL of the scheduler's own page about a place; "" if it has no pages."""

    @abstractmethod
    async def ping(self) -> None:
        """Return if slots can be started, else raise `Unavailable`."""

    @abstractmethod
    async def close(self) -> None:
        """Close connections; slots keep running."""
