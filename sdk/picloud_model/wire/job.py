"""The wire: every body that travels between SDK, worker and API, and nothing else.

Bodies are msgpack (`application/msgpack`) or, for people and other languages, JSON
(`application/json`, bytes as base64); the same structs describe both. Requests refuse unknown
fields. What is sent per job is an array, the rest are maps whose keys are the field names here.
Times are seconds: `_s` a duration, `_at` since the epoch.
"""

from __future__ import annotations

import zlib
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import Meta

from picloud_model.core import DEFAULT_CORE_TYPE
from picloud_model.errors import RequestRefused
from picloud_model.job import Status
from picloud_model.pack import Envelope

Body = TypeVar("Body")

_PRESSED_FROM: Final = 1024
_ZLIB: Final = b"x"
"""What zlib begins with; a msgpack map never does."""

MSGPACK: Final = "application/msgpack"
JSON: Final = "application/json"

REQUEST_BYTES: Final = 16 * 1024 * 1024
"""Largest request body the API takes; more travels as blobs or staged packs."""
LONGEST_POLL_S: Final = 30.0
"""Longest time the API holds a request open; a client asks again."""
MAX_ARGUMENT_BYTES: Final = 16_000_000
"""Ceiling of the `max_transmit_data` setting."""
DEFAULT_ARGUMENT_BYTES: Final = 1_000_000
"""Default of the `max_transmit_data` setting."""
MAX_RESULT_BYTES: Final = 128 * 1024 * 1024
"""Largest pickled result of a job."""
MAX_JOBS: Final = 1_000_000
"""Most jobs in one batch, and most jids in one request."""

MAX_LABEL: Final = 200
"""Most characters of a label."""
MAX_PRIORITY: Final = 1000
"""The number of the jobs that run last."""
MAX_RUNTIME_S: Final = 366 * 24 * 3600
"""Longest time limit of a job: a year."""
MAX_SEED: Final = 2**63 - 1
"""Largest seed of a batch."""
MAX_VARIABLES_BYTES: Final = 32 * 1024
"""Most text of a batch's environment variables: it lies in the batch's header."""
MAX_VOLUMES: Final = 100
"""Most volumes of a job."""
MAX_ACCOUNT_NAME: Final = 100
"""Most characters of an account's name."""
MAX_DEPENDENCIES: Final = 10_000
"""Most jid ranges a batch may depend on."""
MAX_INFO_BYTES: Final = 2 * 1024 * 1024
"""Largest info of a job, unpressed: three streams and a profile."""
MAX_BLOCKED_JOBS: Final = 32
"""Most jobs a slot sets aside while they wait for others, fewer where it has little memory."""

# `$` also matches before a line break at the end; the length does not.
SubmitId = Annotated[str, Meta(pattern="^[0-9a-f]{32}$", max_length=32)]
"""A client-made UUID in hex; the batch is known by it."""
KeyId = Annotated[str, Meta(pattern="^[0-9a-f]{12}$", max_length=12)]
"""The part of an API key that is no secret."""
Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$", max_length=64)]
"""SHA-256 of a blob, in hex."""
Jid = Annotated[int, Meta(ge=1, le=2**53 - 1)]
JidRange = tuple[Jid, Jid]
"""First and last jid, both included."""
DependencyErrors = Literal["abort", "ignore"]
"""What becomes of jobs when one they depend on fails: stalled, or begun all the same."""
Timeout = Annotated[float, Meta(ge=0, le=LONGEST_POLL_S)]


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every request body."""


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of every answer; a newer server may send more fields than a client knows."""


# --- jobs -------------------------------------------------------------------------------------


class Options(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """How the jobs of a batch are to run.

    `env` and `vols` are names of an environment and of volumes. A job is ended `max_runtime_s`
    after it began. With `kill_process` its interpreter runs no further job. `os_env_vars` are set
    while it runs. `fast_serialization` is 0 for cloudpickle, 1 for the same without a search for
    what cannot be pickled, 2 for plain pickle; functions are not concerned. With a `seed` each job
    draws random numbers from a stream that depends on it and on the job's index only.
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


class Content(msgspec.Struct, frozen=True, array_like=True):
    """Immutable bytes: inline in `data`, or a blob of the account named by `digest`."""

    digest: str = ""
    size: int = 0
    data: bytes | None = None


class PackPart(msgspec.Struct, frozen=True, array_like=True):
    """The arguments of jobs `first .. first+count-1` of a batch: a pack, inline or a blob.

    A part never crosses a page (a multiple of 1,000 jobs).
    """

    first: Annotated[int, Meta(ge=0)]
    count: Annotated[int, Meta(ge=1, le=1000)]
    content: Content


class SubmitRequest(Request, frozen=True):
    """Make a batch: `POST /v1/jobs`. Repeating it answers the same jids.

    `function` is a parcel whose pickle is a callable; the child calls it with the pair
    `(args, kwargs)` in each argument parcel. `bundle` is the digest of the manifest of shipped
    modules, or "". `parts` may be left out where `staged` of them were sent before. The jobs wait
    until all jobs in `depends_on` have ended; unless failures are ignored, they are stalled when
    one of these fails.
    """

    submit_id: SubmitId
    kind: Literal["call", "map"]
    count: Annotated[int, Meta(ge=1, le=MAX_JOBS)]
    envelope: Envelope
    function: Content
    function_name: Annotated[str, Meta(max_length=300)]
    bundle: str = ""
    options: Options = Options()
    parts: list[PackPart] = []
    depends_on: list[JidRange] = []
    depends_on_errors: DependencyErrors = "abort"


class StageRequest(Request, frozen=True):
    """Send packs of a large map ahead: `POST /v1/jobs/staged`; forgotten if no submit follows."""

    submit_id: SubmitId
    parts: list[PackPart]


class Submitted(Answer, frozen=True):
    """The jids of a batch: `first .. first+count-1`."""

    first: int
    count: int


class JobsRequest(Request, frozen=True):
    """Names jobs: of `status` and `kill`; `kill` without `jids` means all unfinished ones."""

    jids: list[JidRange] | None = None


class StatusRun(msgspec.Struct, frozen=True, array_like=True):
    """Jobs `first .. last` share one status."""

    first: int
    last: int
    status: str


class Statuses(Answer, frozen=True):
    """Status of each job asked for, in the order asked, written as runs."""

    runs: list[StatusRun]


class WaitRequest(Request, frozen=True):
    """Wait for jobs to finish: `POST /v1/jobs/wait`, a long poll.

    Answers as soon as every job named is final, or some are and a moment has passed, or the answer
    is large enough, or the timeout is over. The client asks again for the rest.
    `payloads` asks for results too, not just for how each job ended. With `statuses` it answers
    when every job has one of these, or one is final that has none of them.
    """

    jids: list[JidRange]
    timeout_s: Timeout = LONGEST_POLL_S
    payloads: bool = True
    statuses: list[Status] = []


class Outcome(msgspec.Struct, frozen=True, array_like=True):
    """How one job ended.

    `payload` is a parcel: of the pickled result when `done`, else of an encoded `Failure`.
    `blob` names it where it was too large to travel inline. `envelope` is the position of its
    envelope among those of the answer.
    """

    jid: int
    status: str
    cause: int = 0
    payload: bytes | None = None
    blob: Content | None = None
    envelope: int = 0


class Outcomes(Answer, frozen=True):
    """Some of the jobs that were waited for, each final; and the envelopes of their results."""

    outcomes: list[Outcome]
    envelopes: list[Envelope] = []


class Failure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a job failed, readable without unpickling anything.

    `message` is one line, `traceback` the remote one in full, `pickled` a parcel of the exception
    (with its traceback, by tblib) where it could be pickled.
    """

    cause: int
    message: str
    exception: str = ""
    traceback: str = ""
    pickled: bytes | None = None


class Killed(Answer, frozen=True):
    """How many jobs were ended or asked to end."""

    count: int


class DeleteRequest(Request, frozen=True):
    """Remove what jobs left behind: `POST /v1/jobs/delete`; they must have finished."""

    jids: list[JidRange]


class Deleted(Answer, frozen=True):
    """How many jobs were deleted now; those deleted before do not count."""

    count: int


# --- what can be learned of jobs ----------------------------------------------------------------


class InfoRequest(Request, frozen=True):
    """Ask what is known of jobs: `POST /v1/jobs/info`.

    `keys` are those of `InfoKey`, or "all"; none are the default ones. With `since` whoever follows
    a stream gets only what comes after so many bytes of it, and at most a portion at once.
    """

    jids: list[JidRange]
    keys: list[Annotated[str, Meta(max_length=100)]] = []
    since: dict[str, Annotated[int, Meta(ge=0)]] | None = None


class Arguments(msgspec.Struct, frozen=True, array_like=True):
    """Where the argument parcel of a job is: `parcel` itself, or the item of a pack in a blob."""

    parcel: bytes | None
    pack: Content | None = None
    item: int = 0


class JobInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of one job, for the keys asked for.

    `values` by key; `arguments` and `function` are pickled, by the envelope at that position among
    those of the answer. `ends` says how many bytes of each stream followed have been told.
    """

    jid: int
    values: dict[str, Any]
    arguments: Arguments | None = None
    function: Content | None = None
    envelope: int = 0
    ends: dict[str, int] = {}


class JobInfos(Answer, frozen=True):
    """The first of the jobs asked for, in their order: as many as fit; ask again for the rest."""

    jobs: list[JobInfo]
    envelopes: list[Envelope] = []


class ListRequest(Request, frozen=True):
    """List jobs, newest first: `POST /v1/jobs/list`.

    Args:
        statuses: Only these; none are all.
        label: Only with this label.
        created_since: Only those made at or after this time.
        before: Only jids below this one: the smallest of the last answer, to read on.
        limit: Most jobs in the answer.
    """

    statuses: list[str] = []
    label: str | None = None
    created_since: float | None = None
    before: Jid | None = None
    limit: Annotated[int, Meta(ge=1, le=10_000)] = 100


class ListedJob(msgspec.Struct, frozen=True, array_like=True):
    """One job of a list; times in seconds since the epoch, 0 for what has not happened."""

    jid: int
    status: str
    function_name: str
    label: str | None
    created_at: float
    started_at: float
    finished_at: float


class JobsListed(Answer, frozen=True):
    """Jobs, newest first; `more` says where to read on (`before`), or None at the end."""

    jobs: list[ListedJob]
    more: int | None = None


class Stream(msgspec.Struct, frozen=True, array_like=True):
    """The end of what a job wrote: `data` comes after `start` bytes that are not told."""

    start: int
    data: bytes


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """What a job used at a moment, `after_s` since it began; CPU in percent of one core."""

    after_s: float
    cpu_percentage: float
    memory_bytes: int


class Info(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a slot tells of a job beside how it ended; what it does not know is None."""

    streams: dict[str, Stream] = {}
    user_s: float | None = None
    system_s: float | None = None
    peak_bytes: int | None = None
    memory_bytes: int | None = None
    swap_bytes: int | None = None
    cpu_percentage: float | None = None
    ports: dict[str, list[int]] | None = None
    address: str = ""
    profile: str | None = None
    samples: list[Sample] = []


# --- blobs ------------------------------------------------------------------------------------


class MissingBlobsRequest(Request, frozen=True):
    """Which of these does the server lack? `POST /v1/blobs/missing`.

    With their `sizes` in bytes, in the same order, large ones can go to the blob store directly.
    """

    digests: list[Digest]
    sizes: list[Annotated[int, Meta(ge=0)]] = []


class Upload(msgspec.Struct, frozen=True, array_like=True):
    """Where to PUT a blob: a path of this API, or a presigned URL with headers to send along.

    A blob store answers 412 when the bytes came from elsewhere meanwhile: that is as good.
    """

    digest: str
    url: str
    headers: dict[str, str] = {}


class BlobsMissing(Answer, frozen=True):
    """The blobs to upload; the others are there."""

    uploads: list[Upload]


class StoreBlobsRequest(Request, frozen=True):
    """Several small blobs at once: `POST /v1/blobs`."""

    blobs: list[bytes]


class ReadBlobsRequest(Request, frozen=True):
    """Several small blobs at once: `POST /v1/blobs/read`."""

    digests: list[Digest]


class BlobsRead(Answer, frozen=True):
    """The blobs in the order asked."""

    blobs: list[bytes]


class BlobsStored(Answer, frozen=True):
    """The digests of what was stored, in the order sent."""

    digests: list[str]


class Module(msgspec.Struct, frozen=True, array_like=True):
    """One shipped source file: `path` below the import root with forward slashes, blob `digest`."""

    path: str
    digest: str


class Manifest(msgspec.Struct, frozen=True):
    """A bundle of shipped modules, itself a blob (msgpack); sorted by path."""

    modules: list[Module]


# --- slots and their work -----------------------------------------------------------------------


class SlotRequest(Request, frozen=True):
    """A slot exchanges the proof its scheduler gave it for a token: `POST /v1/slots`."""

    proof: str


class SlotGranted(Answer, frozen=True):
    """Who the slot is, and how it shall behave; with `job_key` it signs the tokens of its jobs."""

    slot: int
    token: str
    account: str
    idle_s: float = 60.0
    server_grace_s: float = 30.0
    job_key: bytes = b""

    def __repr__(self) -> str:
        return f"SlotGranted(slot={self.slot!r}, account={self.account!r})"


class LeasedJob(msgspec.Struct, frozen=True, array_like=True):
    """One job of a lease: its index in the batch, its attempt, its argument parcel."""

    index: int
    attempt: int
    arguments: bytes


class Lease(msgspec.Struct, frozen=True, array_like=True):
    """Jobs of one batch for one slot.

    `first` is the batch's first jid: a job's jid is `first + index`. With `pack` the parcels lie
    in a blob, at position `index - pack.first`, and each `arguments` is empty.
    """

    batch: str
    first: int
    envelope: Envelope
    function: Content
    function_name: str
    bundle: str
    options: Options
    jobs: list[LeasedJob]
    pack: PackPart | None = None


class JobReport(msgspec.Struct, frozen=True, array_like=True):
    """How one job ended on a slot: DONE, ERROR or KILLED, with a parcel as in `Outcome`.

    `info` is an encoded `Info` (see `pack_info`), where there is something to tell.
    """

    index: int
    attempt: int
    state: int
    cause: int
    started_at: float
    finished_at: float
    payload: bytes = b""
    blob: Content | None = None
    info: Content | None = None


class AttemptRef(msgspec.Struct, frozen=True, array_like=True):
    """A job a slot speaks of without ending it."""

    batch: SubmitId
    index: int
    attempt: int


class Report(msgspec.Struct, frozen=True, array_like=True):
    """What ended, of one batch, and the envelope of the results."""

    batch: SubmitId
    envelope: Envelope
    ended: list[JobReport]


class BlockedOn(msgspec.Struct, frozen=True, array_like=True):
    """A job of a slot that waits until some jobs have ended; `timed` if it gives up by itself."""

    job: AttemptRef
    jids: list[JidRange]
    timed: bool = False


class WorkRequest(Request, frozen=True):
    """Report and lease in one request: `POST /v1/work`, a long poll when `wait_s` is set.

    `returned` are jobs the slot has not begun and gives back. With `lease` the slot asks for more
    work and waits up to `wait_s`. `holding` are the jobs it still has, begun or not; `resync` says
    that the answer to its last request never arrived, so whatever the server believes it holds
    beyond `holding` goes back into the queue. `leaving` is its last word: it ends.
    While jobs of it are blocked, `awaiting` tells on what: then only those jobs are leased to it,
    and descendants of them or of the blocked ones, one by one.
    """

    reports: list[Report] = []
    returned: list[AttemptRef] = []
    holding: list[AttemptRef] = []
    lease: bool = True
    wait_s: Timeout = 0.0
    resync: bool = False
    leaving: bool = False
    awaiting: list[BlockedOn] = []


class WorkAnswer(Answer, frozen=True):
    """What to run next and what to stop; `exit` ends the slot at once, with status 0."""

    leases: list[Lease] = []
    kills: list[AttemptRef] = []
    exit: bool = False


class LiveAnswer(msgspec.Struct, frozen=True, array_like=True):
    """What a slot tells of a job that runs, because it was asked: `info` is b"" if it does not."""

    number: int
    info: bytes


class HeartbeatRequest(Request, frozen=True):
    """A slot says what it runs: `POST /v1/heartbeat`, a long poll while a child is busy.

    `running` are the jobs begun, `holding` the rest of the lease, `awaiting` as in `WorkRequest`.
    A `full` slot sets no more aside. Answers early when a job is to be killed, when somebody wants
    to know about one that runs, or when there is work for a blocked slot; `live` is what the last
    answer asked for.
    """

    running: list[AttemptRef]
    holding: list[AttemptRef] = []
    wait_s: Timeout = 5.0
    live: list[LiveAnswer] = []
    awaiting: list[BlockedOn] = []
    full: bool = False


class LiveQuery(msgspec.Struct, frozen=True, array_like=True):
    """Somebody wants to know about a job that runs; `since` as in `InfoRequest`."""

    number: int
    job: AttemptRef
    since: dict[str, int] = {}


class HeartbeatAnswer(Answer, frozen=True):
    """Jobs to kill; `lost` are jobs that are no longer this slot's: their results are worthless.

    `live` asks about jobs that run: the next heartbeat tells, at once. `work` says that a blocked
    slot would be given a job if it asked.
    """

    kills: list[AttemptRef] = []
    lost: list[AttemptRef] = []
    live: list[LiveQuery] = []
    exit: bool = False
    work: bool = False


# --- a job and its supervisor ---------------------------------------------------------------------


class JobSocketRequest(Request, frozen=True):
    """What a job's process tells its supervisor, through the socket that `PICLOUD_LINE` names.

    Without `awaiting` it asks for a `JobGrant`. With it the job is blocked until these jobs have
    ended, for as long as the connection stays open.
    """

    awaiting: list[JidRange] | None = None
    timed: bool = False


class JobGrant(Answer, frozen=True):
    """Where a job finds the API, and the token that is good as long as it runs."""

    url: str
    token: str
    jid: int


# --- accounts and keys --------------------------------------------------------------------------


class KeyRequest(Request, frozen=True):
    """Make an API key for the account that asks: `POST /v1/keys`.

    `request_id` is a UUID in hex that nobody else knows; a repeat of it answers the same key.
    """

    request_id: SubmitId


class KeyMade(Answer, frozen=True):
    """A new API key, whole: the server keeps a keyed hash of its secret and shows it only now."""

    key: str
    account: str

    def __repr__(self) -> str:
        return f"KeyMade(account={self.account!r})"


class KeysRequest(Request, frozen=True):
    """List the API keys of the account that asks: `POST /v1/keys/list`."""

    active_only: bool = False


class ListedKey(Answer, frozen=True):
    """What is known of an API key, without its secret; `own` is the one that asked."""

    id: str
    active: bool
    created_at: float
    own: bool = False


class KeysListed(Answer, frozen=True):
    """The API keys of an account, the oldest first."""

    keys: list[ListedKey]


class KeyIdRequest(Request, frozen=True):
    """Names an API key: `POST /v1/keys/activate`, `POST /v1/keys/deactivate`."""

    id: KeyId


class AccountRequest(Request, frozen=True):
    """Make an account and its first key: `POST /v1/accounts`, for administrators.

    `request_id` as in `KeyRequest`.
    """

    request_id: SubmitId
    name: Annotated[str, Meta(min_length=1, max_length=MAX_ACCOUNT_NAME)]


class AccountsRequest(Request, frozen=True):
    """List all accounts: `POST /v1/accounts/list`, for administrators."""


class ListedAccount(Answer, frozen=True):
    """An account, and how many of its keys are active."""

    id: str
    name: str
    created_at: float
    active_keys: int


class AccountsListed(Answer, frozen=True):
    """All accounts, the oldest first."""

    accounts: list[ListedAccount]


# --- health and errors --------------------------------------------------------------------------


class PortHealth(Answer, frozen=True):
    """One port of the server: which adapter serves it, whether it answers, how fast."""

    port: str
    adapter: str
    healthy: bool
    seconds: float
    detail: str = ""


class Health(Answer, frozen=True):
    """`GET /v1/health`: 200 when every port answers, else 503."""

    healthy: bool
    version: str
    ports: list[PortHealth]


class Problem(Answer, frozen=True):
    """Body of every error answer: a stable code, one sentence, the field it speaks of."""

    code: str
    message: str
    field: str | None = None
    digests: list[str] = []


def pack_info(info: Info) -> bytes:
    """An info as it travels and is kept: pressed, where that is worth the time.

    >>> unpack_info(pack_info(Info(user_s=1.5))).user_s
    1.5
    """
    data = msgspec.msgpack.encode(info)
    return data if len(data) < _PRESSED_FROM else zlib.compress(data, 1)


def unpack_info(data: bytes) -> Info:
    """What `pack_info` wrote.

    Raises:
        RequestRefused: When it did not.
    """
    try:
        if data[:1] == _ZLIB:
            data = zlib.decompressobj().decompress(data, MAX_INFO_BYTES)
        return decode(data, Info)
    except (zlib.error, msgspec.MsgspecError) as error:
        raise RequestRefused(f"An info is damaged: {error}.", field="info") from error


def encode(body: Any, media: str = MSGPACK) -> bytes:
    """Write a body.

    >>> encode(Killed(count=2), JSON)
    b'{"count":2}'
    """
    return msgspec.json.encode(body) if media == JSON else msgspec.msgpack.encode(body)


def decode(data: bytes | memoryview, kind: type[Body], media: str = MSGPACK) -> Body:
    """Read a body of one kind.

    Raises:
        msgspec.ValidationError: When a field is missing, unknown or of another type.
        msgspec.DecodeError: When the bytes are not msgpack (or JSON).

    >>> decode(encode(Killed(count=2)), Killed).count
    2
    """
    try:
        if media == JSON:
            return msgspec.json.decode(data, type=kind)
        return msgspec.msgpack.decode(data, type=kind)
    except UnicodeDecodeError as error:
        # msgspec lets this one through, which is no error of its own.
        raise msgspec.DecodeError(f"a text is not UTF-8: {error}") from error
