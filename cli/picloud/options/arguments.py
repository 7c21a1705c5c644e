"""What `picloud` reads: jids and values as the command line writes them."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Annotated, Final

import typer
from cloud._jobs.command_template import is_name
from picloud_model import ranges
from picloud_model.errors import RequestRefused
from picloud_model.wire import MAX_JOBS

from picloud.completion import jobs

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Jids = Annotated[
    str,
    typer.Argument(metavar="JIDS", help="Job ids: 7, or 7,9-12.", autocompletion=jobs.jids),
]
Timeout = Annotated[
    float | None,
    typer.Option("--timeout", "-t", min=0, metavar="SECONDS", help="Give up after this long."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Raw = Annotated[
    bool, typer.Option("--raw", help="Print what jobs wrote byte by byte, also on a terminal.")
]
Data = Annotated[
    list[str] | None,
    typer.Option("--data", "-d", metavar="NAME=VALUE", help="Value of the variable {NAME}."),
]
Words = Annotated[
    list[str], typer.Argument(metavar="COMMAND", help="For /bin/sh, in one word or several.")
]
_MOST: Final = MAX_JOBS


def jids(text: str, param_hint: str = "JIDS") -> Sequence[int]:
    """The jids a text names, in its order.

    Raises:
        typer.BadParameter: When it names none, or more than one request may.

    >>> list(jids("1,4-6"))
    [1, 4, 5, 6]
    """
    try:
        found = ranges.parse(text)
    except RequestRefused as error:
        raise typer.BadParameter(error.message, param_hint=param_hint) from None
    if ranges.count(found) > _MOST:
        raise typer.BadParameter(f"{text} names more than {_MOST:,} jobs.", param_hint=param_hint)
    if len(found) == 1:
        return range(found[0][0], found[0][1] + 1)
    return list(ranges.expand(found))


def assignments(texts: Iterable[str] | None, option: str) -> dict[str, str]:
    """Values by name, as `w1=hello` writes one.

    Raises:
        typer.BadParameter: When a text is no assignment, or a name comes twice.

    >>> assignments(["w1=hello", "w2=a=b"], "-d")
    {'w1': 'hello', 'w2': 'a=b'}
    """
    found: dict[str, str] = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals or not is_name(name):
            raise typer.BadParameter(
                f"{text!r} is no assignment: write NAME=VALUE, the name of letters, digits and _.",
                param_hint=option,
            )
        if name in found:
            raise typer.BadParameter(f"{name} is given twice.", param_hint=option)
        found[name] = value
    return found


def values(name: str, text: str, option: str) -> list[str]:
    """The values a text lists between commas; quotes keep a comma in a value.

    Raises:
        typer.BadParameter: When a quote is left open.

    >>> values("w1", 'hello,"good, bye"', "-n")
    ['hello', 'good, bye']
    """
    try:
        rows = list(csv.reader([text], strict=True))
    except csv.Error as error:
        raise typer.BadParameter(f"the values of {name}: {error}.", param_hint=option) from None
    return rows[0] if rows and rows[0] else [""]
