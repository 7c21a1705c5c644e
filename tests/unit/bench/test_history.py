"""The history of ratios: what is kept of a run, and what moved since the one before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.history import Entry, append, entries, moved, read
from bench.table import Report

if TYPE_CHECKING:
    from pathlib import Path

CALL = Entry(commit="a1", row="call", contender="embedded", peer="ray", ratio=1.0)


def report(**results: dict[str, list[float]]) -> Report:
    """A run with the embedded stack and two peers."""
    return Report("a machine", ("embedded", "ray", "loky"), results, {})


def test_a_run_has_an_entry_for_each_row_and_peer() -> None:
    """How many times better it is, by medians; a peer that was not measured has none."""
    call = {"embedded": [2.0, 4.0, 3.0], "ray": [6.0], "loky": []}
    rate = {"embedded": [300.0], "ray": [100.0], "loky": [200.0]}

    entry = CALL._replace(commit="c3")
    assert entries(report(call=call, map10k=rate), "c3") == [
        entry._replace(ratio=2.0),
        entry._replace(row="map10k", ratio=3.0),
        entry._replace(row="map10k", peer="loky", ratio=1.5),
    ]


def test_what_was_kept_is_read_again(tmp_path: Path) -> None:
    """In order; a file that is not there has no entries."""
    path = tmp_path / "history.jsonl"

    assert read(path) == []
    append(path, [CALL])
    append(path, [CALL._replace(commit="b2")])
    assert read(path) == [CALL, CALL._replace(commit="b2")]
    assert path.read_text(encoding="utf-8").startswith('{"commit": "a1", "row": "call", ')


def test_the_latest_entry_of_the_same_row_and_peer_counts() -> None:
    """More than five percent is a move, in either direction."""
    earlier = [CALL, CALL._replace(commit="b2", ratio=2.0), CALL._replace(row="echo", ratio=9.0)]
    new = [CALL._replace(commit="c3", ratio=ratio) for ratio in (1.8, 1.95, 2.2)]
    other = CALL._replace(commit="c3", peer="loky", ratio=5.0)

    assert moved(earlier, [*new, other]) == [
        "call, embedded: 1.80 times better than ray, 2.00 times at b2 (-10 %)",
        "call, embedded: 2.20 times better than ray, 2.00 times at b2 (+10 %)",
    ]
