"""`cloud.cron`: functions that run on a schedule, whether this computer is on or not.

    cloud.cron.register(report, "nightly-report", "30 2 * * *")
    cloud.cron.info("nightly-report")["next"]

A schedule has five fields: minute, hour, day of the month, month and day of the week.
"""

from __future__ import annotations

import builtins  # noqa: TC003 - `list` has another meaning here
from typing import TYPE_CHECKING, Any, get_args

from picloud_model.wire.cron import MAX_SCHEDULE, CronSchedule, MissedRuns, Overlap

from cloud._arguments.option_values import short_label
from cloud._arguments.options import only_options
from cloud._client.current import client
from cloud._config.border import of_users
from cloud._resources.cron import CronClient
from cloud.errors import CloudValueError

if TYPE_CHECKING:
    from collections.abc import Callable

    from picloud_model.wire.cron import CronInfo

    from cloud._arguments.options import CallOptions

__all__ = ["deregister", "info", "list", "manual_run", "register"]


@of_users
def register(
    func: Callable[[], Any],
    label: str,
    schedule: str,
    *,
    timezone: str = "UTC",
    missed: str = "skip",
    overlap: str = "allow",
    **kwargs: Any,
) -> None:
    """Run a function as a job on a schedule, in place of an earlier cron job of the same label.

    Each time that it is due, exactly one job is submitted, with the code that the function has
    now. It is listed by `cloud.cron.list` and `picloud jobs --label LABEL`.

    Args:
        func: The function; it is called without arguments. Use functools.partial to give it some.
        label: Up to 64 letters, digits, hyphens, underscores and dots.
        schedule: Minute (0-59), hour (0-23), day of the month (1-31), month (1-12 or jan-dec) and
            day of the week (0-7 or sun-sat, 0 and 7 are Sunday), each a number, `*`, a list `1,15`,
            a range `9-17` or steps `*/5`; or @hourly, @daily, @weekly, @monthly, @yearly.
        timezone: The time zone of the schedule, as "Europe/Berlin".
        missed: What to do about runs that were due while no server was running: "skip" for nothing,
            "run" for one run for all of them, once a server runs again.
        overlap: What happens when a run is due and the last job is unfinished: "allow" starts
            another, "skip" leaves this run out, "kill" kills the last job first.
        kwargs: Options of its jobs, as for `cloud.call`: `_type`, `_env`, `_max_runtime`, ...

    Raises:
        CloudException: When the schedule or an option is not valid, the schedule is never due, or
            the function cannot be sent.
        TypeError: When the function cannot be called without arguments.

    >>> cloud.cron.register(lambda: "done", "nightly-report", "30 2 * * *")
    >>> cloud.cron.info("nightly-report")["schedule"]
    '30 2 * * *'
    """
    options = only_options(
        kwargs,
        "options begin with an underscore, and arguments of the function are given by "
        "functools.partial.",
    )
    register_job(func, label, checked_schedule(schedule, timezone, missed, overlap), options)


def register_job(
    func: Callable[[], Any], label: str, schedule: CronSchedule, options: CallOptions
) -> None:
    """Register a function with options that have been read."""
    checked = short_label(label)
    if options.needs_submitter:
        raise CloudValueError("A cron job has no _depends_on, _callback or _callback_on_error.")
    job = client().prepare_call(func, options)
    _client().register(checked, schedule, job)


@of_users
def deregister(label: str) -> None:
    """Remove a cron job. Jobs that it has started go on.

    Args:
        label: Its label.

    Raises:
        CloudException: When there is no such cron job.

    >>> cloud.cron.register(lambda: "done", "nightly-report", "30 2 * * *")
    >>> cloud.cron.deregister("nightly-report")
    """
    _client().deregister(short_label(label))


@of_users
def manual_run(label: str) -> int:
    """Start a job of a cron job now, whatever its schedule.

    Args:
        label: Its label.

    Returns:
        The jid of the job.

    Raises:
        CloudException: When there is no such cron job, or the job cannot be submitted.

    >>> cloud.cron.register(lambda: "done", "nightly-report", "30 2 * * *")
    >>> cloud.result(cloud.cron.manual_run("nightly-report"))
    'done'
    """
    return _client().run(short_label(label))


@of_users
def list() -> builtins.list[str]:  # noqa: A001 - users write cloud.cron.list
    """Return the labels of your cron jobs, in order.

    >>> cloud.cron.register(lambda: "done", "nightly-report", "30 2 * * *")
    >>> "nightly-report" in cloud.cron.list()
    True
    """
    return [each.label for each in _client().list()]


@of_users
def info(label: str) -> dict[str, Any]:
    """Return the schedule and the latest runs of a cron job.

    Args:
        label: Its label.

    Returns:
        Its `label`, `schedule`, `timezone`, `missed` and `overlap` as registered, the name of its
        `function`, when it was registered (`created`), the `next` five times that it is due,
        `last_jid` and `last_status` of its latest job and when that was due (`last_due`; all three
        None before the first; `last_due` is None after a manual run), how many runs were missed
        (`missed_runs`) and left out since the last job was unfinished (`skipped_runs`), and why the
        last run could not be submitted (`problem`, None if it was). Times are seconds since the
        epoch.

    Raises:
        CloudException: When there is no such cron job.

    >>> cloud.cron.register(lambda: "done", "nightly-report", "30 2 * * *")
    >>> cloud.cron.info("nightly-report")["last_jid"] is None
    True
    """
    return as_dictionary(_client().info(short_label(label)))


def infos() -> builtins.list[dict[str, Any]]:
    """Return what `info` returns for each cron job, in the order of their labels."""
    return [as_dictionary(each) for each in _client().list()]


def as_dictionary(found: CronInfo) -> dict[str, Any]:
    """Return a cron job as `info` does."""
    return {
        "label": found.label,
        "schedule": found.schedule.schedule,
        "timezone": found.schedule.timezone,
        "missed": found.schedule.missed,
        "overlap": found.schedule.overlap,
        "function": found.function_name,
        "created": found.created_at,
        "next": found.next_at,
        "last_jid": found.last_jid or None,
        "last_status": found.last_status or None,
        "last_due": found.last_due_at or None,
        "missed_runs": found.missed,
        "skipped_runs": found.skipped,
        "problem": found.problem or None,
    }


def checked_schedule(schedule: str, timezone: str, missed: str, overlap: str) -> CronSchedule:
    """Return a schedule; the server checks its fields.

    Raises:
        CloudException: When a value has another type, or is not one of those that are possible.
    """
    if not isinstance(schedule, str) or not 1 <= len(schedule) <= MAX_SCHEDULE:
        raise CloudValueError(
            f"schedule must be five fields in a string, as '30 2 * * *', not {schedule!r:.80}."
        )
    if not isinstance(timezone, str):
        raise CloudValueError(f"timezone must be the name of one, as 'UTC', not {timezone!r:.80}.")
    _one_of("missed", missed, get_args(MissedRuns))
    _one_of("overlap", overlap, get_args(Overlap))
    return CronSchedule(
        schedule=schedule,
        timezone=timezone,
        missed=missed,  # type: ignore[arg-type] # checked above
        overlap=overlap,  # type: ignore[arg-type]
    )


def _one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        choices = " or ".join(map(repr, allowed))
        raise CloudValueError(f"{name} is {choices}, not {value!r:.80}.")


def _client() -> CronClient:
    return CronClient(client().transport)


def __dir__() -> builtins.list[str]:
    return sorted(__all__)
