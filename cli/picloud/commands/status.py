"""`picloud status`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import cloud
import typer
from picloud_model import ranges
from picloud_model.job import Status

from picloud import output, tables
from picloud.options.arguments import AsJson, Jids
from picloud.options.arguments import jids as read_jids

if TYPE_CHECKING:
    from collections.abc import Sequence

_EACH: Final = tables.Columns(("jid", "status"))
_COUNTS: Final = tables.Columns(("status", "jobs", "jids"), flexible=("jids",))
_MOST_ROWS: Final = 20
"""Of more jobs than these the statuses are counted."""
_RANGES: Final = 10
"""How many ranges of jids a row names."""


def status(
    jids: Jids,
    each: Annotated[bool, typer.Option("--each", help="Show a row for each job.")] = False,
    json: AsJson = False,
) -> None:
    """Print the status of jobs; of more than 20, how many have which status.

    \b
    Examples:
      $ picloud status 7
      $ picloud status 1-1000
      $ picloud status 7,9-12 --each
      $ picloud status 1-1000 --json
    """  # noqa: D301 - \b keeps the lines apart
    order = read_jids(*jids)
    statuses = list(zip(order, cloud.status(order), strict=True))
    if json:
        output.as_json([{"jid": jid, "status": shown} for jid, shown in statuses])
    elif each or len(order) <= _MOST_ROWS:
        tables.show(_EACH, statuses)
    else:
        tables.show(_COUNTS, _counts(statuses))


def _counts(statuses: Sequence[tuple[int, str]]) -> list[tuple[object, ...]]:
    """Return a row for each status: its number of jobs and their jids."""
    rows: list[tuple[object, ...]] = []
    for known in Status:
        found = {jid for jid, shown in statuses if shown == known.value}
        if found:
            rows.append((known.value, len(found), _named(found)))
    return rows


def _named(jids: set[int]) -> str:
    spans = ranges.collapse(jids)
    shown = [f"{first}-{last}" if last > first else str(first) for first, last in spans[:_RANGES]]
    return ",".join(shown) + (", ..." if len(spans) > _RANGES else "")
