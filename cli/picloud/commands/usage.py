"""`picloud usage` and `picloud prices`."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Annotated

import typer
from cloud._costs import usage as costs
from picloud_model.wire.usage import USAGE_GROUPS, money

from picloud import output, tables, units
from picloud.completion import values
from picloud.options import arguments
from picloud.options.arguments import AsJson  # noqa: TC001 - Typer reads it

if TYPE_CHECKING:
    from cloud._costs.usage import GroupUsage, UsageTable


def usage(
    *,
    by: Annotated[
        str,
        typer.Option(
            "--by",
            metavar="GROUP",
            help="A row for each label, function, day, type or map.",
            autocompletion=values.usage_groups,
        ),
    ] = "label",
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="AGE", help="Only jobs created within: 30m, 12h or 7d."),
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    json: AsJson = False,
) -> None:
    """Show how long your jobs have run and what that costs.

    A job costs what its core type cost when it was created. Deleted jobs count; jobs that run
    count so far. "type" is the core type, "map" a call or map, and days are in UTC.

    \b
    Examples:
      $ picloud usage
      $ picloud usage --by day --since 30d --csv
    """  # noqa: D301 - \b keeps the lines apart
    if by not in USAGE_GROUPS:
        known = arguments.one_of(USAGE_GROUPS)
        raise typer.BadParameter(f"{by!r} is not valid: write {known}.", param_hint="--by")
    if as_csv and json:
        raise typer.BadParameter("cannot be combined with --json.", param_hint="--csv")
    found = costs.usage(None if since is None else arguments.age(since, "--since"), by)
    if json:
        output.as_json([_fields(by, row) for row in found])
    elif as_csv:
        _print_csv(by, found)
    else:
        _print(by, found)


def prices(json: AsJson = False) -> None:
    """Show the price of an hour of a core, by core type.

    Jobs are charged by the millisecond, for each of their cores.

    \b
    Examples:
      $ picloud prices
    """  # noqa: D301 - \b keeps the lines apart
    listed = costs.prices()
    if json:
        output.as_json(listed)
        return
    rows = [(name, _price(price)) for name, price in listed.items()]
    tables.show(tables.Columns(("type", "an hour of a core")), rows)


def _price(dollars: float | None) -> str:
    return "no price" if dollars is None else money(dollars)


def _fields(by: str, row: GroupUsage) -> dict[str, object]:
    return {
        by: row.group,
        "jobs": row.jobs,
        "runtime": row.runtime,
        "core_hours": row.core_hours,
        "cost": row.cost,
        "unpriced": list(row.unpriced),
    }


def _print_csv(by: str, found: UsageTable) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((by, "jobs", "runtime", "core_hours", "cost", "unpriced"))
    for row in found:
        numbers = (row.jobs, row.runtime, row.core_hours, f"{row.cost:.9f}")
        writer.writerow((row.group, *numbers, " ".join(row.unpriced)))
    output.exactly(text.getvalue())


def _print(by: str, found: UsageTable) -> None:
    total = found.total
    rows = [_cells(row, row.group) for row in found]
    columns = tables.Columns((by, "jobs", "runtime", "core hours", "cost"), flexible=(by,))
    if rows:
        rows.append(_cells(total, "total"))
    tables.show(columns, rows, empty="No jobs.")
    if total.unpriced:
        output.hint(
            f"There is no price for {', '.join(total.unpriced)}: the cost of its jobs is not "
            "counted. The operator of the server sets prices."
        )


def _cells(row: GroupUsage, group: str) -> tuple[object, ...]:
    return (
        group,
        f"{row.jobs:,}",
        units.duration(row.runtime),
        f"{row.core_hours:,.4f}",
        _price(None if row.unpriced and not row.cost else row.cost),
    )
