"""`picloud audit`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer
from cloud._client.current import client
from cloud._resources.audit import AuditClient
from picloud_model.wire.audit import COLUMNS, cells

from picloud import output, tables, units
from picloud.options.arguments import AsJson, age

if TYPE_CHECKING:
    from picloud_model.wire.audit import AuditEntry

_SHOWN = 50


def audit(
    *,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="AGE", help="Only entries that are younger: 30m, 12h, 7d."),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option("-n", min=1, metavar="COUNT", help="Maximum number of entries."),
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    json: AsJson = False,
) -> None:
    """Show who did what in your account, newest first; for owners.

    Keys, members, secrets, budgets, environments, published functions, cron jobs and the like, and
    who has killed or deleted jobs or signed in. Without --since and -n, a table has 50 entries, and
    CSV and JSON have all of them.

    \b
    Examples:
      $ picloud audit
      $ picloud audit --since 7d
      $ picloud audit --csv > audit.csv
    """  # noqa: D301 - \b keeps the lines apart
    if as_csv and json:
        raise typer.BadParameter("cannot be combined with --json.", param_hint="--csv")
    now = time.time()
    begin = 0.0 if since is None else now - age(since, "--since")
    if count is None and since is None and not (as_csv or json):
        count = _SHOWN
    entries = AuditClient(client().transport).entries(begin, count)
    if json:
        output.as_json([_fields(each) for each in entries])
    elif as_csv:
        output.as_csv([COLUMNS, *(cells(each, units.iso(each.at)) for each in entries)])
    else:
        columns = ("time", "who", "from", "operation", "details")
        rows = [_row(each, now) for each in entries]
        tables.show(tables.Columns(columns, flexible=("details",)), rows)


def _row(entry: AuditEntry, now: float) -> tuple[str, ...]:
    refused = f"refused: {entry.refused}" if entry.refused else ""
    details = f"{entry.details} {refused}".strip()
    return units.moment(entry.at, now), entry.who, entry.address, entry.operation, details


def _fields(entry: AuditEntry) -> dict[str, object]:
    return {
        "time": units.iso(entry.at),
        "person": entry.person,
        "key": entry.key,
        "jid": entry.jid or None,
        "address": entry.address,
        "operation": entry.operation,
        "details": entry.details,
        "refused": entry.refused,
    }
