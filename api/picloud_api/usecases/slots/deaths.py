"""Deaths of slots: which slot died alone, and what is known of the attempts lost with slots."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from picloud_api.engine.jobs.fence import Blame

if TYPE_CHECKING:
    from collections.abc import Callable

    from picloud_api.store.layout import PageId
    from picloud_api.store.records import Slot

TOGETHER_S: Final = 2.0
"""Slots that die within this time of each other died together."""
_DEATHS: Final = 1000
_ATTEMPTS: Final = 1000
"""How many deaths and lost attempts are remembered."""


class SlotDeaths:
    """The latest deaths of slots. What began before this process did, it cannot judge.

    Args:
        clock: Seconds since the epoch.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began_at = clock()
        self._deaths: deque[tuple[int, float]] = deque(maxlen=_DEATHS)

    def record(self, number: int) -> None:
        """Record that a slot was found dead now."""
        self._deaths.append((number, self._clock()))

    def blame(self, slot: Slot) -> Blame:
        """Return what a slot died of, `TOGETHER_S` after its death was recorded."""
        died_at = next((at for number, at in self._deaths if number == slot.number), self._clock())
        if slot.seen_at < self._began_at:
            return Blame.OUTSIDE  # the server was down as well
        are_others_near = any(
            number != slot.number and abs(at - died_at) <= TOGETHER_S for number, at in self._deaths
        )
        return Blame.UNCLEAR if are_others_near else Blame.JOB


class LostAttempts:
    """What this process knows about the attempts that jobs lost with their slots."""

    def __init__(self) -> None:
        self._details: dict[tuple[PageId, int], list[str]] = {}

    def record(self, page_id: PageId, index: int, attempt: int, detail: str) -> None:
        """Record why an attempt was lost."""
        first_line = detail.partition("\n")[0].removesuffix("; its log ends:")
        line = f"attempt {attempt}: {first_line or 'the slot was lost'}"
        lines = self._details.pop((page_id, index), [])
        self._details[page_id, index] = [*lines, line]
        if len(self._details) > _ATTEMPTS:
            del self._details[next(iter(self._details))]

    def peek(self, page_id: PageId, index: int) -> str:
        """Return the history of a job, in the order of its attempts."""
        return "; ".join(self._details.get((page_id, index), []))
