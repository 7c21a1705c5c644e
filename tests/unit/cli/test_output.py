"""Printing."""

from __future__ import annotations

import io
import subprocess
from typing import TYPE_CHECKING

import pytest
from picloud import output

from tests.e2e.command_line import PICLOUD

if TYPE_CHECKING:
    from pathlib import Path


def test_a_pipe_gets_text_unchanged(capsys: pytest.CaptureFixture[str]) -> None:
    """Except for a newline at its end."""
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


@pytest.mark.parametrize("value", [{1, 2}, float("nan"), b"x"])
def test_a_value_without_json_is_shown_as_python_shows_it(value: object) -> None:
    """For people; `to_json` says that it has none."""
    assert (output.printable(value), output.to_json(value)) == (repr(value), None)


def test_errors_are_marked(capsys: pytest.CaptureFixture[str]) -> None:
    """In a pipe they are one line, however long."""
    output.error("It broke. " * 30)

    assert capsys.readouterr() == ("", f"error: {'It broke. ' * 30}\n")


def test_hints_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Control characters are visible there."""
    output.hint("a\x07b")

    assert capsys.readouterr() == ("", "a\\x07b\n")


@pytest.mark.parametrize("argument", ["--version", "--help"])
def test_a_full_disk_is_one_line(argument: str) -> None:
    """It says what could not be written."""
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - it is a device
        done = subprocess.run(
            [PICLOUD, argument], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )

    assert done.returncode == 1
    assert done.stderr == "error: Cannot write the output: No space left on device.\n"


def test_closed_streams_are_not_an_error() -> None:
    """What is written then is lost, as the parent wanted."""
    done = subprocess.run(["sh", "-c", f"'{PICLOUD}' --version >&- 2>&- <&-"], check=False)

    assert done.returncode == 0
