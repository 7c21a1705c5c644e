"""`picloud usage` and `picloud prices`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from cloud._costs import usage as costs
from picloud_model.wire.usage import SHOWN_GROUPS, money

from picloud import output, tables, units
from picloud.completion import environments, values
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
            help="A row for each label, function, day, type, map or month.",
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
    count so far. "type" is the core type, "map" a call or map, and days and months are in UTC. Of
    months you also see what is free, what grants pay for, and what is to be paid.

    \b
    Examples:
      $ picloud usage
      $ picloud usage --by month
      $ picloud usage --by day --since 30d --csv
    """  # noqa: D301 - \b keeps the lines apart
    if by not in SHOWN_GROUPS:
        known = arguments.one_of(SHOWN_GROUPS)
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


def prices(
    *,
    env: Annotated[
        str | None,
        typer.Option(
            "--env",
            "-e",
            metavar="NAME",
            help="Environment of the jobs, whose prices may differ.",
            autocompletion=environments.environments,
        ),
    ] = None,
    json: AsJson = False,
) -> None:
    """Show the price of an hour of a core, by core type.

    Jobs are charged by the millisecond, for each of their cores.

    \b
    Examples:
      $ picloud prices
      $ picloud prices --env /a1b2c3d4/numpy
    """  # noqa: D301 - \b keeps the lines apart
    listed = costs.prices(env)
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
        **_of_month(row),
    }


def _of_month(row: GroupUsage) -> dict[str, float]:
    """Return the fields that only months have."""
    if row.free is None or row.granted is None or row.to_pay is None:
        return {}
    return {"free": row.free, "granted": row.granted, "to_pay": row.to_pay}


def _print_csv(by: str, found: UsageTable) -> None:
    columns = (by, "jobs", "runtime", "core_hours", "cost", "unpriced")
    lines: list[tuple[object, ...]] = [(*columns, *_of_month(found.total))]
    for row in found:
        numbers = (row.jobs, row.runtime, row.core_hours, f"{row.cost:.9f}")
        of_month = [f"{amount:.9f}" for amount in _of_month(row).values()]
        lines.append((row.group, *numbers, " ".join(row.unpriced), *of_month))
    output.as_csv(lines)


def _print(by: str, found: UsageTable) -> None:
    total = found.total
    rows = [_cells(row, row.group) for row in found]
    of_month = [name.replace("_", " ") for name in _of_month(total)]
    names = (by, "jobs", "runtime", "core hours", "cost", *of_month)
    columns = tables.Columns(names, flexible=(by,))
    if rows:
        rows.append(_cells(total, "total"))
    tables.show(columns, rows, empty="No jobs.")
    for balance in found.grants:
        output.hint(balance.words)
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
        *map(money, _of_month(row).values()),
    )
