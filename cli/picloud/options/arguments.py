"""Arguments and options that several commands share, and how their texts are read."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from cloud import CloudValueError
from cloud._arguments.command_template import is_name
from picloud_model import ranges
from picloud_model.errors import RequestRefused
from picloud_model.job import MAX_JOBS, Status

from picloud.completion import jobs

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}

Jids = Annotated[
    list[str],
    typer.Argument(metavar="JIDS...", help="Job ids: 7 or 7,9-12.", autocompletion=jobs.jids),
]
OneJid = Annotated[int, typer.Argument(metavar="JID", min=1, help="Job id.")]
MaybeJids = Annotated[
    list[str] | None,
    typer.Argument(metavar="JIDS...", help="Job ids: 7 or 7,9-12.", autocompletion=jobs.jids),
]
Timeout = Annotated[
    float | None,
    typer.Option("--timeout", "-t", min=0, metavar="SECONDS", help="Stop waiting after this time."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Raw = Annotated[bool, typer.Option("--raw", help="Print results unchanged, also on a terminal.")]
Data = Annotated[
    list[str] | None,
    typer.Option("--data", "-d", metavar="NAME=VALUE", help="Value for {NAME} (repeatable)."),
]
Words = Annotated[
    list[str], typer.Argument(metavar="COMMAND...", help="Command line, or program and arguments.")
]


def map_data(what: str) -> Any:
    """Return the option for lists of values by name; `what` is its help."""
    return typer.Option("--map-data", "-n", metavar="NAME=VALUE,...", help=what)


def jids(*texts: str, param_hint: str = "JIDS") -> Sequence[int]:
    """Return the jids in some texts, in their order.

    Raises:
        typer.BadParameter: When a text is malformed, or they name too many jobs.

    >>> list(jids("1,4-6", "9"))
    [1, 4, 5, 6, 9]
    """
    text = ",".join(texts)
    try:
        spans = ranges.parse(text)
    except RequestRefused as error:
        raise typer.BadParameter(error.message, param_hint=param_hint) from None
    if ranges.count(spans) > MAX_JOBS:
        raise typer.BadParameter(
            f"{text} names more than {MAX_JOBS:,} jobs.", param_hint=param_hint
        )
    if len(spans) == 1:
        return range(spans[0][0], spans[0][1] + 1)
    return list(ranges.expand(spans))


def jids_or_all(texts: Sequence[str] | None, every: bool) -> Sequence[int] | None:
    """Return the jids in some texts, or None if a command is for all jobs (`--all`).

    Raises:
        typer.BadParameter: When it has neither jids nor `--all`, or both, or a text is malformed.

    >>> list(jids_or_all(["7", "9"], False)), jids_or_all(None, True)
    ([7, 9], None)
    """
    if texts == ["all"]:
        raise typer.BadParameter("'all' is not a valid job id: write --all.", param_hint="JIDS")
    if every == bool(texts):
        raise typer.BadParameter("give either jids or --all.", param_hint="JIDS")
    return jids(*texts) if texts else None


def statuses(text: str, param_hint: str) -> list[str]:
    """Return the statuses in a comma-separated list.

    Raises:
        typer.BadParameter: When one does not exist.

    >>> statuses("done, error", "--status")
    ['done', 'error']
    """
    known = [status.value for status in Status]
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in known:
            raise typer.BadParameter(
                f"{name!r} is not a valid status: write {one_of(known)}.", param_hint=param_hint
            )
    return names


def without_options(words: list[str]) -> list[str]:
    """Return the words of a command that follows other arguments, if no option is among these.

    Raises:
        typer.BadParameter: When the first word is an option, which would be run as a program.

    >>> without_options(["echo", "-n", "hello"]), without_options(["--", "date"])
    (['echo', '-n', 'hello'], ['date'])
    """
    if words[0] == "--" and len(words) > 1:
        words = words[1:]
    if words[0].startswith("-"):
        raise typer.BadParameter(
            f"it begins with {words[0]!r}: options precede all arguments.", param_hint="COMMAND"
        )
    return words


def choice(text: str, known: Sequence[str], what: str, param_hint: str) -> str:
    """Return a text that has to be one of some names.

    Args:
        text: The text.
        known: The names.
        what: What each of them is the name of, with its article.
        param_hint: The option.

    Raises:
        typer.BadParameter: When it is another one.

    >>> choice("day", ["day", "month"], "a period", "--per")
    'day'
    """
    if text not in known:
        raise typer.BadParameter(
            f"{text!r} is not {what}: write {one_of(known)}.", param_hint=param_hint
        )
    return text


def age(text: str, param_hint: str) -> int:
    """Return an age in seconds.

    Raises:
        typer.BadParameter: When the text is malformed.

    >>> age("12h", "--since")
    43200
    """
    matched = re.fullmatch(r"(\d+)([smhd])", text.strip(), re.ASCII)
    if matched is None:
        raise typer.BadParameter(
            f"{text!r} is not a valid age: write 30s, 30m, 12h or 7d.", param_hint=param_hint
        )
    return int(matched[1]) * _UNITS[matched[2]]


def one_of(names: Sequence[str]) -> str:
    """Return names as an error lists what is possible.

    >>> one_of(["c1", "c2", "f2"])
    'c1, c2 or f2'
    """
    return f"{', '.join(names[:-1])} or {names[-1]}"


def assignments(texts: Iterable[str] | None, option: str) -> dict[str, str]:
    """Return the values of assignments such as `w1=hello`, by name.

    Raises:
        typer.BadParameter: When a text is not an assignment, or a name occurs twice.

    >>> assignments(["w1=hello", "w2=a=b"], "-d")
    {'w1': 'hello', 'w2': 'a=b'}
    """
    by_name: dict[str, str] = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals or not is_name(name):
            raise typer.BadParameter(
                f"{text!r} is not a valid assignment: write NAME=VALUE, with letters, digits "
                "and _ in the name.",
                param_hint=option,
            )
        if name in by_name:
            raise typer.BadParameter(f"{name} is given twice.", param_hint=option)
        by_name[name] = value
    return by_name


def values(name: str, text: str, option: str) -> list[str]:
    """Return the values of a comma-separated list; a quoted value may contain commas.

    Raises:
        typer.BadParameter: When a quote is not closed.

    >>> values("w1", 'hello,"good, bye"', "-n")
    ['hello', 'good, bye']
    """
    import csv  # noqa: PLC0415 - few commands have such a list

    try:
        rows = list(csv.reader([text], strict=True))
    except csv.Error as error:
        raise typer.BadParameter(f"the values of {name}: {error}.", param_hint=option) from None
    return rows[0] if rows and rows[0] else [""]


def parsed(text: str) -> Any:
    """Return the value that a text means as JSON.

    Raises:
        CloudException: When it is not JSON.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CloudValueError(
            f"{text!r:.80} is not JSON: {error}; without --parse it is a text."
        ) from error
