"""Writes `docs/reference/cli.md` from the commands themselves: `make reference`.

A test fails if the page differs from what this makes.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from picloud.app import app
from typer.main import get_command

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
    return "\n".join([HEAD, *_sections(get_command(app), ())])


def _sections(command: Any, words: tuple[str, ...], above: Any = None) -> Iterator[str]:
    context = command.context_class(
        command,
        parent=above,
        info_name=words[-1] if words else "picloud",
        terminal_width=WIDTH,
        **command.context_settings,
    )
    level = "#" * (2 + max(0, len(words) - 1))
    text = command.get_help(context).rstrip()
    yield f"{level} `{context.command_path}`\n\n```text\n{text}\n```\n"
    for name, below in getattr(command, "commands", {}).items():
        if not below.hidden:
            yield from _sections(below, (*words, name), context)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"{PAGE} written.")
