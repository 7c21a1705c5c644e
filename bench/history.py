"""The history of ratios: how far ahead of each peer our stacks were, commit by commit.

Times depend on the machine; how many times better we are than a peer in the same run depends on it
much less. `bench/history.jsonl` has a line for each row, stack and peer of a run.
"""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Final, NamedTuple

from bench.environments import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from bench.table import Report

MOVED: Final = 0.05
"""A ratio that changed by more than this share has moved."""
_BEST: Final = "best"


class Entry(NamedTuple):
    """How many times better a stack was than a peer, in a row of the table."""

    commit: str
    row: str
    contender: str
    peer: str
    ratio: float


def entries(report: Report, commit: str) -> list[Entry]:
    """Return the entries of a run."""
    return [
        Entry(commit=commit, row=row, contender=ours, peer=peer, ratio=round(ratio, 4))
        for row in report.results
        for ours in report.ours()
        for peer, ratio in report.ahead(row, ours).items()
        if peer != _BEST
    ]


def read(path: Path) -> list[Entry]:
    """Return all entries of a file, the oldest first; none if there is no file."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [Entry(**json.loads(line)) for line in lines]


def append(path: Path, new: Iterable[Entry]) -> None:
    """Add entries to a file."""
    with path.open("a", encoding="utf-8") as file:
        file.writelines(f"{json.dumps(each._asdict())}\n" for each in new)


def moved(earlier: Sequence[Entry], new: Sequence[Entry]) -> list[str]:
    """Return what moved since the last entry of the same row, stack and peer, a line each.

    >>> before = Entry(commit="a1", row="call", contender="embedded", peer="ray", ratio=1.0)
    >>> moved([before], [before._replace(commit="b2", ratio=1.1)])
    ['call, embedded: 1.10 times better than ray, 1.00 times at a1 (+10 %)']
    >>> moved([before], [before._replace(commit="b2", ratio=1.04)])
    []
    """
    last = {(each.row, each.contender, each.peer): each for each in earlier}
    lines = []
    for each in new:
        before = last.get((each.row, each.contender, each.peer))
        if before is None or abs(each.ratio / before.ratio - 1) <= MOVED:
            continue
        change = round(100 * (each.ratio / before.ratio - 1))
        lines.append(
            f"{each.row}, {each.contender}: {each.ratio:.2f} times better than {each.peer}, "
            f"{before.ratio:.2f} times at {before.commit} ({change:+d} %)"
        )
    return lines


def current_commit() -> str:
    """Return the short id of the commit that is checked out; `+` if files differ from it."""
    command = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def record(report: Report, path: Path) -> str:
    """Add a run to a history; return what moved since the last one, as text."""
    earlier, new = read(path), entries(report, current_commit())
    append(path, new)
    lines = moved(earlier, new)
    head = f"moved by more than {100 * MOVED:.0f} % since the last entry of {path.name}:"
    return "\n".join([head, *lines] if lines else [f"{head} nothing"])
