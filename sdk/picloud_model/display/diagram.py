"""The diagram of a job's states, drawn from the table of its moves.

`python -m picloud_model.display.diagram` prints the block for the architecture page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_model.job import MOVES, State, Status

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

_SKIPPED = {State.LEASED: State.PROCESSING}
"""A short job ends before it is reported as running; its user sees it as processing."""


def mermaid(moves: Mapping[State, AbstractSet[State]] = MOVES) -> str:
    """Return a state diagram in Mermaid: one line per move, in the order of `MOVES` and `State`.

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
    """Return the moves that a user can see: those of the original Primer.

    >>> (Status.QUEUED, Status.PROCESSING) in shown(), (Status.PROCESSING, Status.QUEUED) in shown()
    (True, False)
    """
    moves = set()
    for before, afters in MOVES.items():
        for after in afters:
            begun = after.final and after is not State.KILLED
            start = _SKIPPED.get(before, before) if begun else before
            if start.shown is not after.shown:
                moves.add((start.shown, after.shown))
    return moves


if __name__ == "__main__":
    print(mermaid())  # noqa: T201 - its purpose
