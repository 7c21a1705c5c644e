"""Help and tables on terminals of several widths, compared with files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.unit.cli import terminal_pages

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLE = re.compile(r"^    \$ picloud ", re.MULTILINE)


@pytest.mark.parametrize("width", terminal_pages.WIDTHS)
@pytest.mark.parametrize("kind", terminal_pages.KINDS)
def test_pages_are_those_of_the_files(
    kind: str, width: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`make pages` writes the files anew; read the difference before you commit it."""
    monkeypatch.setenv("PICLOUD_CONFIG_DIR", str(tmp_path))

    shown = terminal_pages.pages(kind, width)

    assert shown == terminal_pages.file_of(kind, width).read_text(encoding="utf-8")


@pytest.mark.parametrize("width", terminal_pages.WIDTHS)
def test_tables_fit_the_terminal(width: int) -> None:
    """No line is longer than the terminal is wide; a key or a name is never cut."""
    lines = terminal_pages.file_of("tables", width).read_text(encoding="utf-8").splitlines()

    assert [line for line in lines if len(line) > width and "2024/" not in line] == []


def test_each_help_page_has_examples() -> None:
    """In the words that a user types, and without the notation of the library."""
    text = terminal_pages.file_of("help", 120).read_text(encoding="utf-8")
    by_command = re.split(r"^\$ (picloud.*) --help\n", text, flags=re.MULTILINE)[1:]

    for command, page in zip(by_command[::2], by_command[1::2], strict=True):
        assert EXAMPLE.search(page), command
        assert not re.search(r"[<>]=|<(int|float|list|str)\b|\{[A-Z]+\.*\}\.\.\.", page), command
