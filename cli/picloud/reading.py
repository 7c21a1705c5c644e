"""What `picloud` reads: jids as the command line writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer
from picloud_model import ranges
from picloud_model.errors import RequestRefused
from picloud_model.wire import MAX_JOBS

if TYPE_CHECKING:
    from collections.abc import Sequence

Jids = Annotated[str, typer.Argument(metavar="JIDS", help="Job ids: 7, or 7,9-12.")]
Timeout = Annotated[
    float | None,
    typer.Option("--timeout", "-t", min=0, metavar="SECONDS", help="Give up after this long."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_MOST: Final = MAX_JOBS


def jids(text: str) -> Sequence[int]:
    """The jids a text names, in its order.

    Raises:
        typer.BadParameter: When it names none, or more than one request may.

    >>> list(jids("1,4-6"))
    [1, 4, 5, 6]
    """
    try:
        found = ranges.parse(text)
    except RequestRefused as error:
        raise typer.BadParameter(error.message, param_hint="JIDS") from None
    if ranges.count(found) > _MOST:
        raise typer.BadParameter(f"{text} names more than {_MOST:,} jobs.", param_hint="JIDS")
    if len(found) == 1:
        return range(found[0][0], found[0][1] + 1)
    return list(ranges.expand(found))
