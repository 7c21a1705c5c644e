"""Writes `docs/reference/cli.md` from the commands themselves: `make reference`.

A test fails if the page differs from what this makes.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from picloud.app import app
from typer.main import get_command
from typer.testing import CliRunner

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).with_name("cli.md")
WIDTH = 100
HEAD = """# The command line

What `picloud --help` and `picloud COMMAND --help` say. Made by `make reference`; do not edit.
[Run programs from the shell](../how-to/shell-jobs.md) shows how it is used.
"""


def page() -> str:
    """Return the whole page."""
    root = get_command(app)
    return "\n".join([HEAD, *_sections(root, ())])


def _sections(command: Any, words: tuple[str, ...]) -> Iterator[str]:
    page = CliRunner().invoke(
        app, [*words, "--help"], prog_name="picloud", terminal_width=WIDTH, color=False
    )
    level = "#" * (2 + max(0, len(words) - 1))
    yield f"{level} `{' '.join(('picloud', *words))}`\n\n```text\n{page.stdout.rstrip()}\n```\n"
    for name, below in getattr(command, "commands", {}).items():
        if not below.hidden:
            yield from _sections(below, (*words, name))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"{PAGE} written.")
