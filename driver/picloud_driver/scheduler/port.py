"""The scheduler port: starts, stops and watches worker slots."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence


class Pool(msgspec.Struct, frozen=True, order=True):
    """Slots that are equal: same account, core type, number of cores, image.

    `image` is the digest of an environment's image, or "" for the base.
    """

    account: str
    core_type: str
    cores: int
    image: str = ""


class Burst(msgspec.Struct, frozen=True):
    """A wish for `count` more slots of a pool; `name` is unique and safe in any URL or jobspec."""

    name: str
    pool: Pool
    count: int


class Placement(msgspec.Struct, frozen=True):
    """Where a slot runs: `place` is unique for each slot ever started (an allocation)."""

    burst: str
    place: str
    pool: Pool


class SlotPresence(msgspec.Struct, frozen=True):
    """A place as the scheduler sees it: pending, or running."""

    burst: str
    place: str
    running: bool


class SlotEnd(msgspec.Struct, frozen=True):
    """A place that ended; `clean` is exit status 0, anything else trouble with the machine."""

    burst: str
    place: str
    clean: bool
    detail: str = ""


class SchedulerPort(ABC):
    """What a scheduler promises. Each sentence here is a contract test.

    A slot is a process `python -m picloud_worker` with the API's URL and a proof of who it is that
    nobody else on the machine can read. It inherits nothing else of the server's environment,
    files or standard streams. Slots outlive the process that started them. Every method raises
    `Unavailable` when the scheduler cannot answer.
    """

    adapter: ClassVar[str]
    """Name of the adapter, for health and messages."""
    isolates: bool
    """Whether user code in a slot is kept from harming the machine and other accounts."""

    @abstractmethod
    async def start(self, burst: Burst) -> None:
        """Ask for a burst; asking again for the same name starts nothing more.

        Raises:
            RequestRefused: When no machine offers the pool's core type; the message says so.
        """

    @abstractmethod
    async def stop(self, burst: str) -> None:
        """End every slot of a burst; an unknown or ended burst is no error."""

    @abstractmethod
    async def verify(self, proof: str) -> Placement:
        """Check the proof a slot presents and say where it runs.

        Raises:
            SlotRefused: When the proof is forged, expired, or of a place that has ended.
        """

    @abstractmethod
    async def slots(self) -> Sequence[SlotPresence]:
        """Every place that is pending or running now, also those started by earlier processes."""

    @abstractmethod
    async def ended(self, timeout_s: float) -> Sequence[SlotEnd]:
        """Wait for places to end: answers within 2 s of the first end, or [] after the timeout.

        Each end is answered once by one process, at least once over restarts; a full look at
        `slots` is what decides, this only makes it quick.
        """

    @abstractmethod
    async def capacity(self, core_type: str) -> int:
        """How many slots of one core may run at once by default; 0 when no machine offers it."""

    @abstractmethod
    async def pending_reason(self, pool: Pool) -> str:
        """Why slots of a pool that were asked for do not start, or would not, in a sentence.

        "" when nothing is in their way.
        """

    @abstractmethod
    async def ping(self) -> None:
        """Answer when slots can be started; raise `Unavailable` when not."""

    @abstractmethod
    async def close(self) -> None:
        """Give back connections; slots go on."""
