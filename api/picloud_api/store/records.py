"""Records: what the state store keeps besides pages and packs. All are frozen."""

from __future__ import annotations

from enum import IntEnum

import msgspec
from picloud_driver.scheduler import Pool
from picloud_model.pack import Envelope
from picloud_model.page import pages_for
from picloud_model.wire import AttemptRef, Content, JidRange, Options, PackPart


class Record(msgspec.Struct, frozen=True, array_like=True):
    """Base of what is stored: an array, so fields are only ever added at the end."""


class Account(Record, frozen=True):
    """Somebody whose jobs, blobs and slots are kept apart from everybody else's."""

    name: str
    created_at: float
    made: bytes = b""
    """The request it was made by, as a keyed hash, so that a repeat finds it."""


class Key(Record, frozen=True):
    """An API key: only a keyed hash of its secret is kept."""

    account: str
    digest: bytes
    active: bool
    created_at: float


class Span(Record, frozen=True):
    """A batch as the jid index lists it."""

    first: int
    count: int
    batch: str

    @property
    def last(self) -> int:
        """The last jid."""
        return self.first + self.count - 1


class Header(Record, frozen=True):
    """A batch: everything its jobs share. Written once, with the jids.

    `parent` is the jid of the job that made it; 0 for a batch no job made.
    """

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
    parent: int = 0

    @property
    def pages(self) -> int:
        """How many pages the jobs' states fill."""
        return pages_for(self.count)


class Ready(Record, frozen=True):
    """A batch with unfinished jobs: what a process needs to queue it without reading more."""

    first: int
    count: int
    priority: int
    pool: Pool
    open_pages: int
    waits: bool = False
    """Whether it was made with dependencies, and may have a `Waiting` record."""
    parent: int = 0

    @property
    def pages(self) -> int:
        """How many pages the jobs' states fill."""
        return pages_for(self.count)


class Waiting(Record, frozen=True):
    """A batch whose jobs wait for those of the jids named, ascending ranges; it goes with that."""

    depends_on: list[JidRange]
    ignore: bool


class Finished(Record, frozen=True):
    """A batch whose jobs are all final; it is sealed some time after `finished_at`."""

    pages: int
    finished_at: float


class Sealed(Record, frozen=True):
    """A page and its packs by their keys, as one blob holds them."""

    entries: dict[str, bytes]


class Staged(Record, frozen=True):
    """Packs sent ahead of a submit."""

    parts: list[PackPart]
    created_at: float


class Slot(Record, frozen=True):
    """A slot that registered and has not ended; `seen_at` is written every few seconds."""

    number: int
    pool: Pool
    burst: str
    place: str
    started_at: float
    seen_at: float


class EventKind(IntEnum):
    """What a event tells."""

    READY = 1
    """A batch has jobs to lease."""
    FINISHED = 2
    """Jobs of a batch became final."""
    KILL = 3
    """Jobs of a batch that slots hold are to be killed."""
    STARTED = 4
    """Slots said that jobs of a batch run."""
    WAITING = 5
    """A batch was made whose jobs wait for others."""
    FAILED = 6
    """Some of the jobs of a batch that became final are not done."""
    QUERIED = 7
    """Somebody wants to know about jobs of a batch that run."""
    ANSWERED = 8
    """What was asked of them was told."""


class Event(Record, frozen=True):
    """A change others wait for."""

    kind: EventKind
    account: str
    batch: str

    @property
    def made(self) -> bool:
        """Whether there are jobs to lease."""
        return self.kind is EventKind.READY

    @property
    def batch_key(self) -> tuple[str, str]:
        """Account and batch: clients choose the ids of batches, which two accounts may share."""
        return self.account, self.batch


class StoredQuery(Record, frozen=True):
    """A question about a job that runs, and what its slot told: b"" when that was nothing."""

    job: AttemptRef
    slot: int
    since: dict[str, int]
    asked_at: float
    answer: bytes | None = None


class ChangeLog(Record, frozen=True):
    """The last changes one API process made, how many it ever made, and when it last rang."""

    count: int
    events: list[Event]
    at: float = 0.0
