"""Info: requests and answers about what is known of jobs, and lists of jobs."""

from __future__ import annotations

import zlib
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from picloud_model.errors import RequestRefused
from picloud_model.pack import Envelope
from picloud_model.wire.blob import Content
from picloud_model.wire.body import Answer, Jid, JidRanges, Request
from picloud_model.wire.codec import decode
from picloud_model.wire.limits import MAX_INFO_BYTES

_COMPRESSED_FROM: Final = 1024
_ZLIB: Final = b"x"
"""The first byte of zlib's output; no msgpack map begins with it."""


class InfoRequest(Request, frozen=True):
    """Ask what is known of jobs: `POST /v1/jobs/info`.

    `keys` are those of `InfoKey`, or "all"; without any, the default ones. With `since` a client
    follows streams: it gets what comes after so many bytes of each, a bounded portion at a time.
    """

    jids: JidRanges
    keys: Annotated[list[Annotated[str, Meta(max_length=100)]], Meta(max_length=100)] = []
    since: Annotated[dict[str, Annotated[int, Meta(ge=0)]], Meta(max_length=100)] | None = None


class Arguments(msgspec.Struct, frozen=True, array_like=True):
    """Where the argument parcel of a job is: `parcel` itself, or the item of a pack in a blob."""

    parcel: bytes | None
    pack: Content | None = None
    item: int = 0


class JobInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of one job, for the requested keys.

    `values` by key; `arguments` and `function` are pickled, by the envelope at that position among
    those of the answer, and `bundle` is the digest of the modules that they need, or "". `ends` is
    the position, in bytes, that each followed stream was read to.
    """

    jid: int
    values: dict[str, Any]
    arguments: Arguments | None = None
    function: Content | None = None
    envelope: int = 0
    bundle: str = ""
    ends: dict[str, int] = {}


class JobInfos(Answer, frozen=True):
    """The first of the requested jobs, in their order, as many as fit; ask again for the rest."""

    jobs: list[JobInfo]
    envelopes: list[Envelope] = []


class ListRequest(Request, frozen=True):
    """List jobs, newest first: `POST /v1/jobs/list`.

    Args:
        statuses: Only jobs with one of these; if empty, all jobs.
        label: Only jobs with this label.
        created_since: Only jobs made at or after this time.
        before: Only jids below this one: the smallest of the last answer, to read on.
        limit: Maximum number of jobs in the answer.
    """

    statuses: Annotated[list[str], Meta(max_length=100)] = []
    label: str | None = None
    created_since: float | None = None
    before: Jid | None = None
    limit: Annotated[int, Meta(ge=1, le=10_000)] = 100


class ListedJob(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """One job of a list; times in seconds since the epoch, 0 for what has not happened."""

    jid: int
    status: str
    function_name: str
    label: str | None
    created_at: float
    started_at: float
    finished_at: float


class JobsListed(Answer, frozen=True):
    """Jobs, newest first; `more` is the `before` of the next request, or None at the end."""

    jobs: list[ListedJob]
    more: int | None = None


class BatchesRequest(Request, frozen=True):
    """List batches, newest first: `POST /v1/jobs/batches`.

    Args:
        statuses: Only batches with a job of one of these; if empty, all batches.
        label: Only batches with this label.
        function: Only batches of the function with this name.
        env: Only batches that run in this environment, as they were made; "" for none.
        parent: Only what this made: the jid of a job, `cron LABEL` or `rest LABEL`.
        text: Only batches with this text in the name of their function or in their label, in upper
            case or lower case.
        created_since: Only batches made at or after this time.
        before: Only batches whose jids are all below this one: `more` of the last answer.
        limit: Most batches in the answer.
    """

    statuses: Annotated[list[str], Meta(max_length=100)] = []
    label: str | None = None
    function: str | None = None
    env: str | None = None
    parent: str | None = None
    text: str | None = None
    created_since: float | None = None
    before: Jid | None = None
    limit: Annotated[int, Meta(ge=1, le=10_000)] = 100


class ListedBatch(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """One batch of a list: the jobs `first .. first+count-1` that one call or map made.

    `statuses` counts its jobs by status, without deleted ones. `started_at` is when its first job
    began and `finished_at` when its last one ended, in seconds since the epoch; 0 if that has not
    happened.
    """

    first: int
    count: int
    function_name: str
    label: str | None
    created_at: float
    statuses: dict[str, int]
    started_at: float
    finished_at: float

    @property
    def jids(self) -> range:
        """The jids of its jobs."""
        return range(self.first, self.first + self.count)


class BatchesListed(Answer, frozen=True):
    """Batches, newest first, and how many slots of the account are running.

    `more` is the `before` of the next request, or None at the end.
    """

    batches: list[ListedBatch]
    more: int | None = None
    slots: int = 0


class Stream(msgspec.Struct, frozen=True, array_like=True):
    """The end of what a job wrote to a stream: `data` begins at byte `start` of the stream."""

    start: int
    data: bytes


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """What a job used at a moment, `after_s` since it began; CPU in percent of one core."""

    after_s: float
    cpu_percentage: float
    memory_bytes: int


class ProfiledCall(msgspec.Struct, frozen=True, array_like=True):
    """A function that another one has called: how often, and the seconds that this took.

    `own_s` is without what it has called itself. Functions are named as in a printed profile; the
    caller of the function of a job is "".
    """

    caller: str
    function: str
    calls: int
    own_s: float
    total_s: float


Progress = tuple[float, float | None]
"""How much of its work a job says it has done, and how much there is; None if that is unknown."""


class Info(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a slot reports about a job besides how it ended; unknown values are None.

    `remarks` say what was done to the job's interpreter after it, a line each. `network_bytes` are
    those that its slot has received and sent while it ran, and `syslog` what the system said of it.
    """

    streams: dict[str, Stream] = {}
    user_s: float | None = None
    system_s: float | None = None
    peak_bytes: int | None = None
    memory_bytes: int | None = None
    swap_bytes: int | None = None
    cpu_percentage: float | None = None
    ports: dict[str, list[int]] | None = None
    profile: str | None = None
    calls: list[ProfiledCall] = []
    samples: list[Sample] = []
    remarks: list[str] = []
    progress: Progress | None = None
    memory_failures: int | None = None
    peak_swap_bytes: int | None = None
    disk_bytes: int | None = None
    network_bytes: tuple[int, int] | None = None
    syslog: str = ""


def pack_info(info: Info) -> bytes:
    """Encode an info for travel and storage, compressed where that is worth the time.

    >>> unpack_info(pack_info(Info(user_s=1.5))).user_s
    1.5
    """
    data = msgspec.msgpack.encode(info)
    return data if len(data) < _COMPRESSED_FROM else zlib.compress(data, 1)


def unpack_info(data: bytes) -> Info:
    """Decode what `pack_info` wrote.

    Raises:
        RequestRefused: When the bytes are not info.
    """
    try:
        if data[:1] == _ZLIB:
            data = zlib.decompressobj().decompress(data, MAX_INFO_BYTES)
        return decode(data, Info)
    except (zlib.error, msgspec.MsgspecError) as error:
        raise RequestRefused(f"An info is damaged: {error}.", field="info") from error
