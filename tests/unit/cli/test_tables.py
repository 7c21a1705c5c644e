"""Tables."""

from __future__ import annotations

import io

import pytest
from picloud import tables
from rich.console import Console

COLUMNS = tables.Columns(
    ("jid", "status", "function", "created"), flexible=("function",), optional=("created",)
)


def drawn(columns: tables.Columns, rows: list[tuple[object, ...]], width: int) -> list[str]:
    """Return the lines of a table on a terminal."""
    stream = io.StringIO()
    Console(file=stream, width=width).print(tables.fitted(columns, rows, width))
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def test_a_table_in_a_pipe_is_separated_by_tabs(capsys: pytest.CaptureFixture[str]) -> None:
    """No cell breaks its line or its column."""
    tables.show(tables.Columns(("jid", "label")), [(1, "two\nlines\tand a tab")])

    assert capsys.readouterr().out == "jid\tlabel\n1\ttwo lines and a tab\n"


def test_a_map_has_a_bar_where_there_is_room() -> None:
    """On a narrow terminal only its counts."""
    rows: list[tuple[object, ...]] = [
        ("1-1000", tables.StatusCounts({"done": 500, "queued": 500}), "f", "now")
    ]

    assert "█████░░░░░ 500 done, 500 queued" in drawn(COLUMNS, rows, 80)[2]
    assert "█" not in drawn(COLUMNS, rows, 56)[2]


def test_a_bar_makes_way_for_names() -> None:
    """Enough of a function's name is shown next to the counts of a map with many states."""
    counts = {"killed": 100, "error": 100, "processing": 100, "queued": 900}
    rows: list[tuple[object, ...]] = [
        ("10004-11203", tables.StatusCounts(counts), "bootstrap_of_a_fit", "")
    ]

    line = drawn(COLUMNS, rows, 80)[2]

    assert "█" not in line
    assert "bootstrap_of" in line


@pytest.mark.parametrize("width", [30, 40, 56, 80, 120])
def test_a_table_has_a_line_for_each_row(width: int) -> None:
    """Long cells are cut, the least important column is left out; nothing folds."""
    rows: list[tuple[object, ...]] = [(1, "done", "module.function " * 8, "2026-11-28 10:00")] * 3

    lines = drawn(COLUMNS, rows, width)

    assert len(lines) == 5
    assert max(map(len, lines)) <= width
    assert ("created" in lines[0]) == (width >= 40)
    assert "…" in lines[2] or width == 120


def test_what_is_known_of_one_thing_is_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    """A row has neither None nor True nor brackets of Python."""
    tables.show_fields(
        {"public": False, "versions": [1, 2], "warm": 0, "origins": (), "type": None}
    )

    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "field\tvalue",
        "public\tno",
        "versions\t1, 2",
        "warm\t0",
        "origins\t",
        "type\t",
    ]
