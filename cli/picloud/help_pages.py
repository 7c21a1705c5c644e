"""Help pages: in colour on a terminal, and in place of an error where a command is incomplete."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, Final

import typer
from cloud._config.settings import environment
from typer.core import TyperGroup

from picloud import exits

if TYPE_CHECKING:
    from collections.abc import Sequence


_PLAIN: Final = tuple(
    (re.compile(pattern), text)
    for pattern, text in (
        (r"default: (-?\d+)\.0\b", r"default: \1"),
        (r"\b(-?[\d.]+)<=x<=(-?[\d.]+)", r"\1 to \2"),
        (r"\bx>=(-?[\d.]+)", r"at least \1"),
        (r"\bx<=(-?[\d.]+)", r"at most \1"),
    )
)
"""What typer says of defaults and ranges, and how we say it."""


_BRACES: Final = str.maketrans("", "", "{}")


def plain_usage(arguments: str) -> str:
    """Return the arguments of a usage line in the notation of manual pages.

    >>> plain_usage("[OPTIONS] {SOURCE} [NAME] {JIDS...}... [JIDS...]...")
    '[OPTIONS] SOURCE [NAME] JIDS... [JIDS...]'
    """
    return re.sub(r"(\S)(?<=\.\.\.[\]}])\.\.\.", r"\1", arguments).translate(_BRACES)


def plain_description(text: str) -> str:
    """Return the description of an option with its range in words.

    >>> plain_description("Refresh interval.  [default: 2.0; x>=0.2]")
    'Refresh interval.  [default: 2; at least 0.2]'
    """
    for pattern, words in _PLAIN:
        text = pattern.sub(words, text)
    return text


class _Formatter(typer.Context.formatter_class):  # type: ignore[misc, valid-type]
    """Formats help with bold headings and coloured names if it goes to a terminal."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._coloured = sys.stdout.isatty() and not environment().get("NO_COLOR")

    def _style(self, text: str, **style: Any) -> str:
        return typer.style(text, **style) if self._coloured else text

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """Write the line of usage."""
        super().write_usage(
            prog, plain_usage(args), self._style(prefix or "Usage:", bold=True) + " "
        )

    def write_heading(self, heading: str) -> None:
        """Write a heading."""
        self.write(f"{'':>{self.current_indent}}{self._style(f'{heading}:', bold=True)}\n")

    def write_dl(self, rows: Sequence[tuple[str, str]], *args: Any, **kwargs: Any) -> None:
        """Write options or commands with their descriptions."""
        named = [
            # An argument comes with the type that Python code gets, as in "JIDS... <list[str]>".
            (self._style(name.partition(" <")[0], fg="cyan"), plain_description(text))
            for name, text in rows
        ]
        super().write_dl(named, *args, **kwargs)


_WHOLE: Final = 1000
"""More characters than the first sentence of any command has."""


class _Context(typer.Context):
    """The context of a command, with our formatter of help."""

    formatter_class = _Formatter


def with_our_help(command: Any) -> Any:
    """Let a command print its help in our format, and return it."""
    command.context_class = _Context
    return command


class HelpfulGroup(TyperGroup):
    """A group of commands; without any of them it prints its help to standard error, with 2."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for command in (self, *self.commands.values()):
            with_our_help(command)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write each command with its whole first sentence."""
        listed = [
            (name, command.get_short_help_str(_WHOLE))
            for name in self.list_commands(ctx)
            if not (command := self.commands[name]).hidden
        ]
        if listed:
            with formatter.section("Commands"):
                formatter.write_dl(listed)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words after the name of the group."""
        if not args and not self.invoke_without_command and not ctx.resilient_parsing:
            typer.echo(ctx.get_help(), err=True)
            raise typer.Exit(exits.USAGE)
        return super().parse_args(ctx, args)
