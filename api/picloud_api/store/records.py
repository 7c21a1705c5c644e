"""Records: what the state store keeps besides pages and packs. All are frozen.

A record that has a key of its own declares what these keys begin with, and how one is parsed;
`layout` writes them.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar, Final, NamedTuple

import msgspec
from picloud_driver.scheduler import Pool
from picloud_model.pack import Envelope
from picloud_model.page import PAGE_JOBS, pages_for
from picloud_model.wire import (
    AttemptRef,
    Content,
    JidRange,
    Options,
    PackPart,
    SubmitRequest,
    TunnelOrder,
)
from picloud_model.wire.cron import CronSchedule
from picloud_model.wire.role import Role


class BatchId(NamedTuple):
    """One batch of one account: clients choose batch ids, so two accounts may use the same."""

    account: str
    batch: str


class Record(msgspec.Struct, frozen=True, array_like=True):
    """Base of what is stored: an array, so fields are only ever added at the end."""


class KeyedRecord(Record, frozen=True):
    """Base of records that have a key of their own."""

    prefix: ClassVar[str]
    """What the key of each such record begins with."""

    @property
    def weight(self) -> int:
        """About how many bytes it takes in memory."""
        return 600


class NamedRecord(KeyedRecord, frozen=True):
    """Base of records whose keys end with one name."""

    @classmethod
    def parse(cls, key: str) -> str:
        """Return the name in a key."""
        return key.removeprefix(cls.prefix)


class BatchRecord(KeyedRecord, frozen=True):
    """Base of records of one batch: their keys end with its account and id."""

    @classmethod
    def parse(cls, key: str) -> BatchId:
        """Return the batch that a key names.

        >>> Ready.parse("ready/a1/b1")
        BatchId(account='a1', batch='b1')
        """
        account, batch = key.removeprefix(cls.prefix).split("/")
        return BatchId(account, batch)


class Account(NamedRecord, frozen=True):
    """An owner of jobs, blobs and slots, kept apart from all others."""

    prefix: ClassVar[str] = "accounts/"

    name: str
    created_at: float
    made: bytes = b""
    """The request that created it, as a keyed hash, by which a repeat finds it."""


class Key(NamedRecord, frozen=True):
    """An API key: only a keyed hash of its secret and its role is kept."""

    prefix: ClassVar[str] = "keys/"

    account: str
    digest: bytes
    active: bool
    created_at: float
    signed_out_at: float = 0.0
    """When all browsers that it had signed in were signed out last."""
    role: Role = Role.OWNER
    person: str = ""
    """The name of the person whose key it is, if that is known."""
    signs_in: bool = False
    """Whether sessions of that person name it; such a key has no secret."""


class Span(Record, frozen=True, gc=False):
    """A batch as the jid index lists it."""

    first: int
    count: int
    batch: str

    @property
    def last(self) -> int:
        """The last jid."""
        return self.first + self.count - 1


DEPENDENCIES_KEPT: Final = 50
"""How many ranges of jobs a header names: each read of a batch reads them."""


class Header(BatchRecord, frozen=True, kw_only=True):
    """A batch: everything its jobs share. Written once, with the jids.

    `parent` is what made it: the jid of a job, `cron LABEL`, `rest LABEL`, or 0 for a client.
    `image` is what its environment was when it was made; "" for the base. `depends_on` are the jobs
    that it waited for, without those after the first `DEPENDENCIES_KEPT` ranges.
    """

    prefix: ClassVar[str] = "batches/"

    first: int
    count: int
    kind: str
    function: Content
    function_name: str
    envelope: Envelope
    bundle: str
    options: Options
    parts: list[PackPart]
    created_at: float
    fingerprint: bytes
    parent: int | str = 0
    image: str = ""
    depends_on: list[JidRange] = []

    @property
    def pages(self) -> int:
        """How many pages the states of its jobs fill."""
        return pages_for(self.count)


class Ready(BatchRecord, frozen=True, kw_only=True):
    """A batch with unfinished jobs: what a process needs to queue it without reading more."""

    prefix: ClassVar[str] = "ready/"

    first: int
    count: int
    priority: int
    pool: Pool
    open_pages: int
    waits: bool = False
    """Whether it was made with dependencies, and may have a `Waiting` record."""
    parent: int = 0
    size: int = 0
    """Bytes of the arguments."""
    notifies: bool = False
    """Whether its end is posted to a URL."""

    @property
    def pages(self) -> int:
        """How many pages the states of its jobs fill."""
        return pages_for(self.count)

    @property
    def unfinished(self) -> int:
        """How many of its jobs may not have ended, at most."""
        return min(self.count, self.open_pages * PAGE_JOBS)


class Waiting(BatchRecord, frozen=True):
    """What a batch depends on, as ascending ranges of jids; deleted when these have ended."""

    prefix: ClassVar[str] = "waiting/"

    depends_on: list[JidRange]
    ignore: bool


class Finished(BatchRecord, frozen=True):
    """A batch whose jobs are all final; it is sealed some time after `finished_at`."""

    prefix: ClassVar[str] = "finished/"

    pages: int
    finished_at: float


class Sealed(Record, frozen=True):
    """A page and its packs by their keys, as one blob holds them."""

    entries: dict[str, bytes]


class Staged(BatchRecord, frozen=True):
    """Packs sent ahead of a submit."""

    prefix: ClassVar[str] = "staged/"

    parts: list[PackPart]
    created_at: float


class Memo(KeyedRecord, frozen=True):
    """The batch that a key, or a function with its arguments, has made: `memos/<account>/<name>`.

    `content` is a digest of what may not differ. It counts until `until` at the latest.
    """

    prefix: ClassVar[str] = "memos/"

    batch: str
    content: str
    created_at: float
    until: float


class Slot(NamedRecord, frozen=True, kw_only=True):
    """A slot that registered and has not ended; `seen_at` is written every few seconds.

    One that is `retiring` is to end before its next job.
    """

    prefix: ClassVar[str] = "slots/"

    number: int
    pool: Pool
    burst: str
    place: str
    started_at: float
    seen_at: float
    retiring: bool = False


class CronRecord(NamedRecord, frozen=True, kw_only=True):
    """A cron job, under the key `crons/<account>/<label>`: what to submit, and when.

    `next_at` is when it is due next. Its last job is `last_jid`, due at `last_due_at`. `missed` and
    `skipped` count runs that did not come, and `problem` says why the last one failed to.
    """

    prefix: ClassVar[str] = "crons/"

    schedule: CronSchedule
    job: SubmitRequest
    created_at: float
    next_at: float
    last_jid: int = 0
    last_due_at: float = 0.0
    missed: int = 0
    skipped: int = 0
    problem: str = ""


class EventKind(IntEnum):
    """What has changed."""

    OTHER = 0
    """Something that only a newer version knows, which runs next to this one during an upgrade."""
    READY = 1
    """A batch has jobs to lease."""
    FINISHED = 2
    """Jobs of a batch became final."""
    KILL = 3
    """Jobs of a batch that slots hold are to be killed."""
    STARTED = 4
    """Slots reported that jobs of a batch run."""
    WAITING = 5
    """A batch was made whose jobs wait for others."""
    FAILED = 6
    """Some of the jobs of a batch that became final are not done."""
    QUERIED = 7
    """A client wants to know about jobs of a batch that run."""
    ANSWERED = 8
    """Such a query was answered."""
    CRON = 9
    """A cron job was registered; `batch` is its label."""
    ENDED = 10
    """A batch has ended whose end is posted to a URL."""
    KEY = 11
    """What is stored under a key has changed, and requests may watch it; `batch` is the key."""
    BUDGET = 12
    """A budget of an account was set or removed."""
    MINTED = 13
    """A secret was minted for a job, or is to be revoked before the job ends."""

    @classmethod
    def _missing_(cls, value: object) -> EventKind:
        del value
        return cls.OTHER


class Event(Record, frozen=True):
    """A change that something may wait for."""

    kind: EventKind
    account: str
    batch: str

    @property
    def made(self) -> bool:
        """Whether there are jobs to lease."""
        return self.kind is EventKind.READY

    @property
    def batch_id(self) -> BatchId:
        """The batch that has changed."""
        return BatchId(self.account, self.batch)


class StreamChunkRef(Record, frozen=True):
    """Values of a stream that were added together: in the state store, or in the blob `digest`."""

    first: int
    count: int
    size: int
    digest: str = ""


class StreamRecord(NamedRecord, frozen=True, kw_only=True):
    """The values that a job has yielded, under the key `streams/<account>/<jid>`.

    Those from position `removed` to `count` are in `chunks`, the first of which may begin before;
    earlier ones were read. `attempt` is the attempt of the job that adds them, `reader` the client
    that reads them.
    """

    prefix: ClassVar[str] = "streams/"

    attempt: int
    envelope: Envelope
    count: int = 0
    removed: int = 0
    reader: str = ""
    chunks: list[StreamChunkRef] = []

    @property
    def size(self) -> int:
        """How many bytes were not read."""
        return sum(each.size for each in self.chunks)


class StoredQuery(KeyedRecord, frozen=True, kw_only=True):
    """A live query and the answer of its slot: None until it is there, b"" if it was nothing."""

    prefix: ClassVar[str] = "asked/"

    job: AttemptRef
    slot: int
    since: dict[str, int]
    asked_at: float
    answer: bytes | None = None
    tunnel: TunnelOrder | None = None


class ChangeLog(NamedRecord, frozen=True):
    """The last changes of one API process, how many it ever made, and when it last published."""

    prefix: ClassVar[str] = "bell/"

    count: int
    events: list[Event]
    at: float = 0.0
