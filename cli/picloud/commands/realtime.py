"""`picloud realtime`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer
from cloud import realtime
from picloud_model.core import CORE_TYPES
from picloud_model.wire.usage import money

from picloud import output, tables, units
from picloud.completion import environments, values
from picloud.help_pages import HelpfulGroup
from picloud.options.arguments import AsJson, choice

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

app = typer.Typer(rich_markup_mode=None, cls=HelpfulGroup)

RequestId = Annotated[
    int, typer.Argument(metavar="ID", min=1, help="The number of the reservation.")
]


@app.callback()
def cores() -> None:
    """Reserve cores, so that your jobs begin at once.

    Slots run on reserved cores whether or not you have jobs. They cost what cores cost, until you
    release them.

    \b
    Examples:
      $ picloud realtime request c2 8 --max-duration 2
      $ picloud realtime list
      $ picloud realtime release 1
    """  # noqa: D301 - \b keeps the lines apart


@app.command("request")
def request(
    core_type: Annotated[
        str,
        typer.Argument(
            metavar="TYPE", help="The core type: c1, c2, f2, ...", autocompletion=values.core_types
        ),
    ],
    count: Annotated[int, typer.Argument(metavar="CORES", min=1, help="How many cores.")],
    *,
    max_duration: Annotated[
        float | None,
        typer.Option(
            "--max-duration",
            "-m",
            metavar="HOURS",
            help="Hours after which the reservation ends; without it, when you release it.",
        ),
    ] = None,
    job_cores: Annotated[
        int,
        typer.Option("--job-cores", metavar="N", min=1, help="Cores of each of the jobs."),
    ] = 1,
    env: Annotated[
        str | None,
        typer.Option(
            "--env",
            "-e",
            metavar="NAME",
            help="The environment of the jobs.",
            autocompletion=environments.environments,
        ),
    ] = None,
    json: AsJson = False,
) -> None:
    """Reserve cores of a type.

    \b
    Examples:
      $ picloud realtime request c2 8 --max-duration 2
      $ picloud realtime request f2 8 --job-cores 4
    """  # noqa: D301 - \b keeps the lines apart
    choice(core_type, list(CORE_TYPES), "a core type", "TYPE")
    found = realtime.request(core_type, count, max_duration, job_cores=job_cores, env=env)
    if json:
        output.as_json(_fields(found))
        return
    output.text(str(found["request_id"]))
    output.hint("Its slots are starting; `picloud realtime list` shows since when all of them run.")


@app.command("list")
def list_reservations(*, json: AsJson = False) -> None:
    """List the reservations that have not ended.

    \b
    Examples:
      $ picloud realtime list
    """  # noqa: D301 - \b keeps the lines apart
    found = realtime.list()
    if json:
        output.as_json([_fields(each) for each in found])
        return
    now = time.time()
    columns = ("id", "type", "cores", "cores a job", "environment", "started", "ends", "cost")
    rows: Sequence[tuple[object, ...]] = [
        (
            each["request_id"],
            each["type"],
            each["cores"],
            each["job_cores"],
            each["env"] or "base",
            "starting" if each["start_time"] is None else _moment(each["start_time"], now),
            _end(each, now),
            "no price" if each["cost"] is None else money(each["cost"]),
        )
        for each in found
    ]
    tables.show(tables.Columns(columns, flexible=("environment",)), rows, empty="No reservations.")


@app.command("release")
def release(number: RequestId) -> None:
    """End a reservation now; jobs that run on its cores go on.

    \b
    Examples:
      $ picloud realtime release 1
    """  # noqa: D301 - \b keeps the lines apart
    realtime.release(number)


@app.command("change-max-duration")
def change_max_duration(
    number: RequestId,
    hours: Annotated[
        float | None,
        typer.Argument(
            metavar="[HOURS]", help="Hours from its start; without it, until you release it."
        ),
    ] = None,
) -> None:
    """Change how long a reservation lasts.

    \b
    Examples:
      $ picloud realtime change-max-duration 1 8
      $ picloud realtime change-max-duration 1
    """  # noqa: D301 - \b keeps the lines apart
    realtime.change_max_duration(number, hours)


def _moment(at: Any, now: float) -> str:
    return units.moment(at.timestamp(), now)


def _end(each: Mapping[str, Any], now: float) -> str:
    if each["end_time"] is not None:
        return _moment(each["end_time"], now)
    hours = each["max_duration"]
    return "when released" if hours is None else f"{hours:g} h after its start"


def _fields(each: Mapping[str, Any]) -> dict[str, Any]:
    times = {
        name: None if each[name] is None else units.iso(each[name].timestamp())
        for name in ("start_time", "end_time")
    }
    return {**each, **times}
