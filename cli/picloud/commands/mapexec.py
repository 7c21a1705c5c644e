"""`picloud mapexec`."""

from __future__ import annotations

from typing import Annotated

import typer
from cloud import shell

from picloud import results
from picloud.options import arguments
from picloud.options.arguments import AsJson, Data, Words  # noqa: TC001 - typer reads annotations when it runs
from picloud.options.job import JobOptions, takes_job_options


@takes_job_options
def mapexec(
    *,
    command: Words,
    map_data: Annotated[
        list[str] | None,
        arguments.map_data("Values for {NAME}, one for each job (repeatable)."),
    ] = None,
    arg_file: Annotated[
        str | None,
        typer.Option(
            "--arg-file",
            "-N",
            metavar="FILE",
            help="CSV file: a line of names, then a line for each job; - for standard input.",
        ),
    ] = None,
    data: Data = None,
    copies: Annotated[
        int | None,
        typer.Option("--copies", "-k", min=1, metavar="N", help="Jobs for each tuple of values."),
    ] = None,
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
    from picloud import map_rows  # noqa: PLC0415 - other commands do not need it

    if options.stdin and arg_file == "-":
        raise typer.BadParameter("-N - reads standard input, too.", param_hint="--stdin")
    mapped = map_rows.read(map_data, arg_file, copies)
    common = arguments.assignments(data, "-d")
    twice = next((name for name in mapped.names if name in common), None)
    if twice is not None:
        raise typer.BadParameter(f"{twice} is mapped, too.", param_hint="-d")
    checked = options.command(command, common, mapped.names)
    jobs = shell.execute_rows(checked, mapped.rows, options.call_options())
    results.show_submitted(jobs.range, json=json)
