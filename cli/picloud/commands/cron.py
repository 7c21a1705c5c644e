"""`picloud cron`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer
from cloud import cron, shell
from picloud_model.wire.cron import MissedRuns, Overlap

from picloud import output, results, tables, units
from picloud.completion import crons
from picloud.help_pages import HelpfulGroup
from picloud.options.arguments import AsJson, Words, without_options
from picloud.options.job import JobOptions, takes_job_options

if TYPE_CHECKING:
    from collections.abc import Callable

app = typer.Typer(rich_markup_mode=None, cls=HelpfulGroup)

Label = Annotated[
    str,
    typer.Argument(metavar="LABEL", help="Label of the cron job.", autocompletion=crons.labels),
]
NewLabel = Annotated[
    str, typer.Argument(metavar="LABEL", help="Label: letters, digits, hyphens, underscores, dots.")
]
Schedule = Annotated[
    str,
    typer.Argument(
        metavar="SCHEDULE",
        help="Minute, hour, day of the month, month and day of the week, or @daily.",
    ),
]


@app.callback()
def crons_() -> None:
    """Run jobs on a schedule.

    \b
    Examples:
      $ picloud cron register nightly '30 2 * * *' ./report.sh
      $ picloud cron list
      $ picloud cron run nightly
      $ picloud cron deregister nightly
    """  # noqa: D301 - \b keeps the lines apart


@app.command(context_settings={"allow_interspersed_args": False})
@takes_job_options
def register(
    cron_label: NewLabel,
    schedule: Schedule,
    command: Words,
    *,
    timezone: Annotated[
        str, typer.Option("--timezone", metavar="NAME", help="Time zone of the schedule.")
    ] = "UTC",
    missed: Annotated[
        str,
        typer.Option(
            "--missed",
            metavar="|".join(get_args(MissedRuns)),
            help="What to do about runs that were due while no server was running.",
        ),
    ] = "skip",
    overlap: Annotated[
        str,
        typer.Option(
            "--overlap",
            metavar="|".join(get_args(Overlap)),
            help="What to do when a run is due and the last job is unfinished.",
        ),
    ] = "allow",
    options: JobOptions,
) -> None:
    """Run a shell command as a job on a schedule, in place of an earlier one of the same label.

    SCHEDULE is a single word in quotes. It is in UTC unless --timezone says otherwise. Options of
    picloud must precede the label.

    \b
    Examples:
      $ picloud cron register nightly '30 2 * * *' ./report.sh
      $ picloud cron register -t f2 --timezone Europe/Berlin work '0 9 * * mon-fri' make
      $ picloud cron register --overlap skip --missed run sync '*/5 * * * *' ./sync
    """  # noqa: D301 - \b keeps the lines apart
    checked = options.command(without_options(command), {})
    shell.register_cron(
        checked,
        cron_label,
        cron.checked_schedule(schedule, timezone, missed, overlap),
        options.call_options(),
    )


@app.command("list")
def list_crons(*, json: AsJson = False) -> None:
    """List your cron jobs: when each is due next, and how its latest job ended.

    \b
    Examples:
      $ picloud cron list
      $ picloud cron list --json
    """  # noqa: D301 - \b keeps the lines apart
    found = cron.infos()
    if json:
        output.as_json([_readable(each) for each in found])
        return
    now = time.time()
    rows = [
        (
            each["label"],
            each["schedule"],
            each["timezone"],
            units.moment(each["next"][0], now),
            each["last_jid"] or "",
            each["last_status"] or "",
            each["function"],
        )
        for each in found
    ]
    names = ("label", "schedule", "timezone", "next", "jid", "status", "function")
    flexible, optional = ("label", "function"), ("function", "timezone")
    columns = tables.Columns(names, flexible=flexible, optional=optional)
    tables.show(columns, rows, empty="No cron jobs.")


@app.command()
def info(label: Label, *, json: AsJson = False) -> None:
    """Print the schedule, next times, latest job and missed runs of a cron job.

    \b
    Examples:
      $ picloud cron info nightly
      $ picloud cron info nightly --json
    """  # noqa: D301 - \b keeps the lines apart
    found = cron.info(label)
    if json:
        output.as_json(_readable(found))
        return
    tables.show_fields(_readable(found, units.exact))


@app.command()
def run(label: Label, *, json: AsJson = False) -> None:
    """Start a job of a cron job now, whatever its schedule, and print its jid.

    \b
    Examples:
      $ picloud cron run nightly
      $ picloud result $(picloud cron run nightly)
    """  # noqa: D301 - \b keeps the lines apart
    jid = cron.manual_run(label)
    results.show_submitted(range(jid, jid + 1), json=json)


@app.command()
def deregister(label: Label) -> None:
    """Remove a cron job. Jobs that it has started go on.

    \b
    Examples:
      $ picloud cron deregister nightly
    """  # noqa: D301 - \b keeps the lines apart
    cron.deregister(label)


def _readable(
    known: dict[str, Any], time_text: Callable[[float], str] = units.iso
) -> dict[str, Any]:
    """Return what is known of a cron job with times as text."""
    times = {name: known[name] and time_text(known[name]) for name in ("created", "last_due")}
    return {**known, **times, "next": [time_text(each) for each in known["next"]]}
