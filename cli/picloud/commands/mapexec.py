"""`picloud mapexec` and `picloud plan`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from cloud import shell
from msgspec.structs import asdict, replace
from picloud_model.ranges import format_jids
from picloud_model.wire.usage import money

from picloud import output, results, units
from picloud.options import arguments
from picloud.options.arguments import AsJson, Data, Words  # noqa: TC001 - typer reads annotations when it runs
from picloud.options.job import JobOptions, takes_job_options

if TYPE_CHECKING:
    from cloud._arguments.command_template import Command
    from cloud._costs.estimate import Estimate

MapData = Annotated[
    list[str] | None,
    arguments.map_data("Values for {NAME}, one for each job (repeatable)."),
]
ArgFile = Annotated[
    str | None,
    typer.Option(
        "--arg-file",
        "-N",
        metavar="FILE",
        help="CSV file: a line of names, then a line for each job; - for standard input.",
    ),
]
Copies = Annotated[
    int | None,
    typer.Option("--copies", "-k", min=1, metavar="N", help="Jobs for each tuple of values."),
]


@takes_job_options
def mapexec(
    *,
    command: Words,
    map_data: MapData = None,
    arg_file: ArgFile = None,
    data: Data = None,
    copies: Copies = None,
    json: AsJson = False,
    options: JobOptions,
) -> None:
    """Run a shell command as a job for each tuple of values.

    Prints the jids immediately. The nth job receives the nth value of each -n, or the nth line of
    the argument file. Values of -d are the same in every job. For the command see `picloud exec`.

    \b
    Examples:
      $ picloud mapexec -n w1=hello,goodbye -d w2=world echo {w1}, {w2}
      $ picloud mapexec -N cities.csv ./forecast {city} {days}
      $ picloud mapexec -k 100 ./simulate
    """  # noqa: D301 - \b keeps the lines apart
    checked, rows = _read(command, map_data, arg_file, data, copies, options)
    jobs = shell.execute_rows(checked, rows, options.call_options())
    results.show_submitted(jobs.range, json=json)


@takes_job_options
def plan(
    *,
    command: Words,
    map_data: MapData = None,
    arg_file: ArgFile = None,
    data: Data = None,
    copies: Copies = None,
    sample: Annotated[
        int, typer.Option("--sample", min=1, metavar="N", help="How many of the jobs run.")
    ] = 3,
    json: AsJson = False,
    options: JobOptions,
) -> None:
    """Run a few jobs of a `picloud mapexec`, and say what all of them would cost and take.

    They cost what jobs cost, and have the label "estimate" unless you give another one. The time to
    start slots is not counted.

    \b
    Examples:
      $ picloud plan -N cities.csv ./forecast {city} {days}
      $ picloud plan -t f2 -k 1000 --sample 5 ./simulate
    """  # noqa: D301 - \b keeps the lines apart
    from cloud._costs import estimate as costs  # noqa: PLC0415 - mapexec does not need it

    checked, rows = _read(command, map_data, arg_file, data, copies, options)
    if not rows:
        raise typer.BadParameter("there are no values, so there would be no jobs.")
    chosen = options.call_options()
    if chosen.options.label is None:
        chosen = replace(chosen, options=replace(chosen.options, label=costs.LABEL))
    jobs = shell.execute_rows(checked, [rows[at] for at in costs.spread(len(rows), sample)], chosen)
    found = costs.from_sample(jobs, len(rows), chosen.options)
    if json:
        output.as_json(asdict(found) | {"sample": list(found.sample)})
    else:
        _print(found)


def _read(  # noqa: PLR0917 - one for each option
    command: list[str],
    map_data: list[str] | None,
    arg_file: str | None,
    data: list[str] | None,
    copies: int | None,
    options: JobOptions,
) -> tuple[Command, list[tuple[str, ...]]]:
    """Return the command, and the values for each of its jobs."""
    from picloud import map_rows  # noqa: PLC0415 - other commands do not need it

    if options.stdin and arg_file == "-":
        raise typer.BadParameter("-N - reads standard input, too.", param_hint="--stdin")
    mapped = map_rows.read(map_data, arg_file, copies)
    common = arguments.assignments(data, "-d")
    twice = next((name for name in mapped.names if name in common), None)
    if twice is not None:
        raise typer.BadParameter(f"{twice} is mapped, too.", param_hint="-d")
    return options.command(command, common, mapped.names), mapped.rows


def _print(found: Estimate) -> None:
    """Print an estimate, a line for each of its parts."""
    output.text(f"jobs      {found.jobs:,}")
    if found.cost is None:
        output.text("cost      no price for the core type")
    else:
        between = f"{money(found.least_cost or 0)} to {money(found.most_cost or 0)}"
        output.text(f"cost      {money(found.cost)} ({between})")
    slots = "1 slot" if found.slots == 1 else f"{found.slots:,} slots"
    output.text(f"duration  {units.duration(found.duration)} on {slots}")
    shortest, longest = units.duration(found.shortest), units.duration(found.longest)
    mean = units.duration(found.runtime)
    output.text(f"a job     {mean} ({shortest} to {longest}), in jobs {format_jids(found.sample)}")
    if found.left is not None:
        enough = ", which is less than the cost" if (found.cost or 0) > found.left else ""
        output.text(f"budget    {money(found.left)} is left{enough}")
