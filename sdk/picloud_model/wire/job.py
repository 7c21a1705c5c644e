"""Jobs: requests and answers that submit them, wait for them, and kill or delete them."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from picloud_model.core import DEFAULT_CORE_TYPE
from picloud_model.job import MAX_JOBS, Status
from picloud_model.pack import Envelope
from picloud_model.wire.blob import Content, PricedJobs
from picloud_model.wire.body import (
    Answer,
    DependencyErrors,
    Digest,
    JidRanges,
    Request,
    SubmitId,
    Timeout,
)
from picloud_model.wire.limits import (
    LONGEST_POLL_S,
    MAX_ITEMS,
    MAX_JOB_SECRETS,
    MAX_LABEL,
    MAX_PATH,
    MAX_PORTS,
    MAX_PRIORITY,
    MAX_REUSE_S,
    MAX_RUNTIME_S,
    MAX_SEED,
    MAX_VOLUMES,
)
from picloud_model.wire.tunnel import PortAccess, TcpPort
from picloud_model.wire.webhook import MAX_URL

OLD_BASES: Final = ("base/natty", "base/precise")
"""The bases of PiCloud as of 2012, both Ubuntu; they stand for the default base of a server."""


class Options(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """How the jobs of a batch run.

    `env` and `vols` name an environment and volumes. A job is ended `max_runtime_s` after it began.
    With `kill_process` its interpreter runs no further job. `os_env_vars` are set while it runs.
    `fast_serialization` is 0 for cloudpickle, 1 for cloudpickle without a search for the object
    that cannot be pickled, 2 for plain pickle; it does not apply to functions. With a `seed` each
    job draws random numbers from a stream that depends only on the seed and the job's index.
    Each job begins in the directory `cwd`, where its slot shares the files of the server's machine.
    `ports` says which of their TCP ports are public; a private one is reached with a key only.
    `secrets` names secrets of the account, whose values are set while it runs.
    The end of the last job of a batch is posted to the URL `on_done`.
    `traceparent` is the span of a client below which those of the jobs are; a server that sends
    spans sets it, from the header of that name.
    """

    core_type: str = DEFAULT_CORE_TYPE
    cores: Annotated[int, Meta(ge=1, le=16)] = 1
    label: Annotated[str, Meta(max_length=MAX_LABEL)] | None = None
    priority: Annotated[int, Meta(ge=0, le=MAX_PRIORITY)] = 5
    restartable: bool = True
    profile: bool = False
    env: Annotated[str, Meta(max_length=100)] | None = None
    vols: Annotated[list[Annotated[str, Meta(max_length=100)]], Meta(max_length=MAX_VOLUMES)] = []
    max_runtime_s: Annotated[float, Meta(gt=0, le=MAX_RUNTIME_S)] | None = None
    kill_process: bool = False
    os_env_vars: dict[str, str] = {}
    fast_serialization: Annotated[int, Meta(ge=0, le=2)] = 0
    seed: Annotated[int, Meta(ge=0, le=MAX_SEED)] | None = None
    cwd: Annotated[str, Meta(max_length=MAX_PATH)] | None = None
    ports: Annotated[dict[TcpPort, PortAccess], Meta(max_length=MAX_PORTS)] = {}
    secrets: Annotated[
        list[Annotated[str, Meta(max_length=100)]], Meta(max_length=MAX_JOB_SECRETS)
    ] = []
    on_done: Annotated[str, Meta(max_length=MAX_URL)] | None = None
    traceparent: Annotated[str, Meta(max_length=55)] | None = None

    @property
    def needs_own_process(self) -> bool:
        """Whether a job has an interpreter in which no other job runs.

        One with volumes or secrets does.
        """
        return self.kill_process or bool(self.vols or self.secrets)


class PackPart(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The arguments of jobs `first .. first+count-1` of a batch: a pack, inline or a blob.

    A part never crosses a page (a multiple of 1,000 jobs).
    """

    first: Annotated[int, Meta(ge=0)]
    count: Annotated[int, Meta(ge=1, le=1000)]
    content: Content


_Parts = Annotated[list[PackPart], Meta(max_length=MAX_ITEMS)]


class Reuse(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """Which earlier batch a submit returns in place of a new one.

    `name` is a digest of a user's key, or of a function with its arguments; `content` is one of
    what may not differ. A batch of that name counts for `kept_s` after it was made; with
    `done_only` not if a job of it failed or was deleted.
    """

    name: Digest
    content: Digest
    kept_s: Annotated[float, Meta(gt=0, le=MAX_REUSE_S)]
    done_only: bool = False


class SubmitRequest(Request, frozen=True):
    """Make a batch: `POST /v1/jobs`. A repeated request returns the same jids.

    `function` is a parcel whose pickle is a callable; the child calls it with the pair
    `(args, kwargs)` in each argument parcel. `bundle` is the digest of the manifest of shipped
    modules, or "". `parts` are omitted if they were staged before. The jobs wait until
    all jobs in `depends_on` have ended; unless failures are ignored, they are stalled when one of
    these fails. With `reuse` the answer may be the jids of an earlier batch.
    """

    submit_id: SubmitId
    kind: Literal["call", "map"]
    count: Annotated[int, Meta(ge=1, le=MAX_JOBS)]
    envelope: Envelope
    function: Content
    function_name: Annotated[str, Meta(max_length=300)]
    bundle: str = ""
    options: Options = Options()
    parts: _Parts = []
    depends_on: JidRanges = []
    depends_on_errors: DependencyErrors = "abort"
    reuse: Reuse | None = None


class StageRequest(Request, frozen=True):
    """Send packs of a large map ahead: `POST /v1/jobs/staged`; forgotten if no submit follows.

    With `jobs`, they are refused if a budget refuses these.
    """

    submit_id: SubmitId
    parts: _Parts
    jobs: PricedJobs | None = None


class Submitted(Answer, frozen=True):
    """The jids of a batch: `first .. first+count-1`; `notice` is a sentence for its user, or ""."""

    first: int
    count: int
    notice: str = ""


class JobsRequest(Request, frozen=True):
    """Names jobs, for `status` and `kill`; `kill` without `jids` kills all unfinished ones."""

    jids: JidRanges | None = None


class StatusRun(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Jobs `first .. last` share one status."""

    first: int
    last: int
    status: str


class Statuses(Answer, frozen=True):
    """The status of each requested job, in the order of the request, as runs."""

    runs: list[StatusRun]


class WaitRequest(Request, frozen=True):
    """Wait for jobs to finish: `POST /v1/jobs/wait`, a long poll.

    The answer comes as soon as every named job is final, or some are and a moment has passed, or
    the answer is large enough, or the timeout is over. The client asks again for the rest.
    `payloads` asks for results, too, not only for how each job ended. With `statuses` the answer
    comes when every job has one of these, or when one is final that has none of them.
    """

    jids: JidRanges
    timeout_s: Timeout = LONGEST_POLL_S
    payloads: bool = True
    statuses: Annotated[list[Status], Meta(max_length=len(Status))] = []


class Outcome(msgspec.Struct, frozen=True, array_like=True, kw_only=True, gc=False):
    """How one job ended.

    `payload` is a parcel: of the pickled result when `done`, else of an encoded `Failure`.
    `blob` names it if it is too large to travel inline. `envelope` is the position of its envelope
    among those of the answer. `printed` is false if the job
    wrote nothing to stdout, stderr or its log.
    """

    jid: int
    status: str
    cause: int = 0
    payload: bytes | None = None
    blob: Content | None = None
    envelope: int = 0
    printed: bool = True


class Outcomes(Answer, frozen=True):
    """Some of the awaited jobs, each final; and the envelopes of their results."""

    outcomes: list[Outcome]
    envelopes: list[Envelope] = []


class Failure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a job failed, readable without unpickling anything.

    `message` is one line, `traceback` the full remote one, `pickled` a parcel of the exception
    (with its traceback, by tblib) if it could be pickled.
    """

    cause: int
    message: str
    exception: str = ""
    traceback: str = ""
    pickled: bytes | None = None


class Killed(Answer, frozen=True):
    """How many jobs were killed or told to end."""

    count: int


class DeleteRequest(Request, frozen=True):
    """Remove all data of finished jobs: `POST /v1/jobs/delete`.

    Without `jids` those of every finished job, as many as one request may take; ask again while the
    answer says that there are more.
    """

    jids: JidRanges | None


class Deleted(Answer, frozen=True):
    """How many jobs this request deleted; those deleted before do not count."""

    count: int
    more: bool = False
