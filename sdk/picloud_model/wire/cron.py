"""Cron: requests and answers about jobs that run on a schedule."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from picloud_model.wire.body import Answer, RemovalId, Request, ShortLabel, SubmitId
from picloud_model.wire.job import SubmitRequest

MAX_CRONS: Final = 1000
"""Most cron jobs of an account."""
MAX_SCHEDULE: Final = 200
"""Longest schedule, in characters."""

MissedRuns = Literal["skip", "run"]
"""What to do about runs that were due while no server was running: nothing, or one run for all."""
Overlap = Literal["allow", "skip", "kill"]
"""What happens when a run is due and the last job is unfinished."""


class CronSchedule(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """When a cron job runs: five fields or a name as `@daily`, in a time zone."""

    schedule: Annotated[str, Meta(min_length=1, max_length=MAX_SCHEDULE)]
    timezone: Annotated[str, Meta(min_length=1, max_length=100)] = "UTC"
    missed: MissedRuns = "skip"
    overlap: Overlap = "allow"


class RegisterCronRequest(Request, frozen=True):
    """Run a job on a schedule: `POST /v1/crons`. It replaces the cron job of the same label.

    `job` is what each run submits, with a `submit_id` of its own; that in `job` identifies this
    request, which may be repeated. It is a call without dependencies.
    """

    label: ShortLabel
    schedule: CronSchedule
    job: SubmitRequest


class CronRequest(Request, frozen=True):
    """Name a cron job: `POST /v1/crons/info`."""

    label: ShortLabel


class DeregisterCronRequest(Request, frozen=True):
    """Remove a cron job: `POST /v1/crons/deregister`.

    A request that repeats a `request_id` changes nothing.
    """

    label: ShortLabel
    request_id: RemovalId = None


class RunCronRequest(Request, frozen=True):
    """Run a cron job now: `POST /v1/crons/run`. A repeated request returns the same jid."""

    label: ShortLabel
    submit_id: SubmitId


class CronsRequest(Request, frozen=True):
    """List all cron jobs: `POST /v1/crons/list`."""


class CronInfo(Answer, frozen=True):
    """A cron job.

    `last_jid` is its latest job, 0 before the first, which was due at `last_due_at` (0 if it was
    started by hand). `next_at` are the next times. `missed` runs were due while no server ran, and
    `skipped` ones while the last job was unfinished. `problem` says why the last run could not be
    submitted.
    """

    label: str
    schedule: CronSchedule
    function_name: str
    created_at: float
    next_at: list[float]
    last_jid: int = 0
    last_due_at: float = 0.0
    last_status: str = ""
    missed: int = 0
    skipped: int = 0
    problem: str = ""


class CronsListed(Answer, frozen=True):
    """All cron jobs of an account, in the order of their labels."""

    crons: list[CronInfo]


class CronStarted(Answer, frozen=True):
    """The jid of the job that was started."""

    jid: int
