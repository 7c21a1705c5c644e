"""The diagram of a job's states, drawn from the table of its moves.

`python -m picloud_model.diagram` prints the block that the architecture page holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_model.job import MOVES, State, Status

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

_SKIPPED = {State.LEASED: State.PROCESSING}
"""A short job ends before anybody named it as running: to its user it was, for a moment."""


def mermaid(moves: Mapping[State, AbstractSet[State]] = MOVES) -> str:
    """A state diagram in Mermaid, each move a line, in the order of `MOVES` and `State`.

    >>> print(mermaid({State.WAITING: {State.STALLED, State.QUEUED}}))
    stateDiagram-v2
        waiting --> queued
        waiting --> stalled
    """
    lines = [
        f"    {before.name.lower()} --> {after.name.lower()}"
        for before, afters in moves.items()
        for after in sorted(afters)
    ]
    return "\n".join(["stateDiagram-v2", *lines])


def shown() -> set[tuple[Status, Status]]:
    """The moves a user can see: those of the original Primer.

    >>> (Status.QUEUED, Status.PROCESSING) in shown(), (Status.PROCESSING, Status.QUEUED) in shown()
    (True, False)
    """
    found = set()
    for before, afters in MOVES.items():
        for after in afters:
            begun = after.final and after is not State.KILLED
            start = _SKIPPED.get(before, before) if begun else before
            if start.shown is not after.shown:
                found.add((start.shown, after.shown))
    return found


if __name__ == "__main__":
    print(mermaid())  # noqa: T201 - what it is for
