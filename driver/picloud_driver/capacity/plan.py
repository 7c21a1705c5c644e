"""Decides how many machines a group is to have, and which of them end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable


class GroupMachine(msgspec.Struct, frozen=True, kw_only=True):
    """A machine of a group.

    `node` is its id in Nomad, "" before it has joined; `slots` of it are in use. While it is
    `draining`, it gets no further ones.
    """

    id: str
    node: str = ""
    slots: int = 0
    draining: bool = False


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """The machines of one core type: a size between two bounds, and `cores` for each machine."""

    core_type: str
    name: str
    minimum: int
    maximum: int
    size: int
    cores: int
    machines: tuple[GroupMachine, ...] = ()

    @property
    def draining(self) -> list[GroupMachine]:
        """Machines that are to end."""
        return [each for each in self.machines if each.draining]


class SizeChange(msgspec.Struct, frozen=True, kw_only=True):
    """What changes: the size that the group gets, and its machines that change.

    Machines in `keep` take slots again, those in `drain` no longer do, and those in `end` are
    empty: each ends, and makes the group smaller by one.
    """

    wanted: int
    size: int
    keep: tuple[GroupMachine, ...] = ()
    drain: tuple[GroupMachine, ...] = ()
    end: tuple[GroupMachine, ...] = ()


class Planner:
    """Follows the work of groups, and decides.

    A group grows at once. It shrinks to the most machines that were wanted during the last
    `calm_s`, so that work which comes and goes does not end machines that are soon started again.

    Args:
        clock: A monotonic clock.
        calm_s: For how long fewer machines have to be enough before one is drained.
    """

    def __init__(self, clock: Callable[[], float], calm_s: float) -> None:
        self._clock = clock
        self._calm_s = calm_s
        self._wanted: dict[str, list[tuple[float, int]]] = {}

    def decide(self, group: Group, cores: int) -> SizeChange:
        """Return what changes in a group.

        Args:
            group: The group as it is.
            cores: How many cores the work of its core type could use at once.
        """
        wanted = min(max(-(-cores // group.cores), group.minimum), group.maximum)
        lasting = self._lasting(group.name, wanted)
        draining = group.draining
        active = group.size - len(draining)
        keep = draining[: max(0, wanted - active)]
        ending = tuple(each for each in draining[len(keep) :] if not each.slots)
        drain: list[GroupMachine] = []
        if lasting is not None and lasting < active:
            # One that has not joined yet is about to take work that waits.
            joined = [each for each in group.machines if each.node and not each.draining]
            drain = sorted(joined, key=lambda each: each.slots)[: active - lasting]
        return SizeChange(
            wanted=wanted,
            size=max(group.size, min(wanted + len(draining) - len(keep), group.maximum)),
            keep=tuple(keep),
            drain=tuple(drain),
            end=ending,
        )

    def _lasting(self, name: str, wanted: int) -> int | None:
        """Return the most that was wanted lately; None as long as too little of it is known."""
        now = self._clock()
        seen = self._wanted.setdefault(name, [])
        seen.append((now, wanted))
        # The last one before is what was wanted when that time began.
        while len(seen) > 1 and seen[1][0] <= now - self._calm_s:
            del seen[0]
        known = seen[0][0] <= now - self._calm_s
        return max(each for _, each in seen) if known else None
