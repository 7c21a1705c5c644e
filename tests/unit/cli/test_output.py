"""Printing."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from cloud import CloudException
from picloud import output

if TYPE_CHECKING:
    from pathlib import Path


def test_a_pipe_gets_text_unchanged(capsys: pytest.CaptureFixture[str]) -> None:
    """But for a newline at its end."""
    output.text("\x1b[31mred")

    assert capsys.readouterr().out == "\x1b[31mred\n"


def test_raw_text_gets_no_newline(capsys: pytest.CaptureFixture[str]) -> None:
    """Every byte is the job's."""
    output.text("no newline", raw=True)

    assert capsys.readouterr().out == "no newline"


def test_bytes_that_are_not_text_are_written_as_those_bytes(tmp_path: Path) -> None:
    """What `os.fsdecode` made of them is undone."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")

    output._write(stream, b"\xff\xfe!".decode("utf-8", "surrogateescape"))

    assert stream.buffer.getvalue() == b"\xff\xfe!"  # type: ignore[attr-defined]


def test_a_table_in_a_pipe_is_separated_by_tabs(capsys: pytest.CaptureFixture[str]) -> None:
    """No cell breaks its line or its column."""
    output.table(("jid", "label"), [(1, "two\nlines\tand a tab")])

    assert capsys.readouterr().out == "jid\tlabel\n1\ttwo lines and a tab\n"


@pytest.mark.parametrize("value", [{1, 2}, float("nan"), b"x"])
def test_a_value_without_json_is_an_error(value: object) -> None:
    """It says how to read the value in Python."""
    with pytest.raises(CloudException, match=r"cloud.result\(3\)"):
        output.printable(3, value)


def test_hints_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Control characters are visible there."""
    output.hint("a\x07b")

    assert capsys.readouterr() == ("", "a\\x07b\n")
