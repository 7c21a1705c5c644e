"""Help pages: in colour on a terminal, and in place of an error where a command is incomplete."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import typer
from cloud._config.settings import environment
from typer.core import TyperGroup

from picloud import exits

if TYPE_CHECKING:
    from collections.abc import Sequence


class _Formatter(typer.Context.formatter_class):  # type: ignore[misc, valid-type]
    """Formats help with bold headings and coloured names if it goes to a terminal."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._coloured = sys.stdout.isatty() and not environment().get("NO_COLOR")

    def _style(self, text: str, **style: Any) -> str:
        return typer.style(text, **style) if self._coloured else text

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """Write the line of usage."""
        super().write_usage(prog, args, self._style(prefix or "Usage:", bold=True) + " ")

    def write_heading(self, heading: str) -> None:
        """Write a heading."""
        self.write(f"{'':>{self.current_indent}}{self._style(f'{heading}:', bold=True)}\n")

    def write_dl(self, rows: Sequence[tuple[str, str]], *args: Any, **kwargs: Any) -> None:
        """Write options or commands with their descriptions."""
        named = [(self._style(name, fg="cyan"), text) for name, text in rows]
        super().write_dl(named, *args, **kwargs)


class _Context(typer.Context):
    """The context of a command, with our formatter of help."""

    formatter_class = _Formatter


class HelpfulGroup(TyperGroup):
    """A group of commands; without any of them it prints its help to standard error, with 2."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for command in (self, *self.commands.values()):
            command.context_class = _Context

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words after the name of the group."""
        if not args and not self.invoke_without_command and not ctx.resilient_parsing:
            typer.echo(ctx.get_help(), err=True)
            raise typer.Exit(exits.USAGE)
        return super().parse_args(ctx, args)
