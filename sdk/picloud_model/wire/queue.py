"""Queues: requests and answers about the messages of an account.

A message that was taken stays in its queue until it is acknowledged with its ticket. Without that
it can be taken again after its deadline.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from picloud_model.pack import Envelope
from picloud_model.wire.blob import Content
from picloud_model.wire.body import Answer, Request, SubmitId, Timeout

MAX_QUEUE_NAME: Final = 40
"""Longest name of a queue, in characters."""
MAX_QUEUES: Final = 1000
"""Most queues of an account."""
MAX_MESSAGES: Final = 1000
"""Most messages of one push, one take or one acknowledgement."""
MESSAGE_BYTES: Final = 64_000
"""The largest message that travels in the request; a larger one is a blob."""
MAX_DELAY_S: Final = 366 * 24 * 3600.0
"""Longest delay of a message: a year."""
MIN_DEADLINE_S: Final = 3.0
MAX_DEADLINE_S: Final = 43_200.0
"""Longest time for which a message can be taken: 12 hours. It can be prolonged."""
RATE_EVERY_S: Final = 10
"""For how many seconds the messages that came and went are counted together."""
RATES_KEPT: Final = 360
"""How many of these counts are kept: those of an hour."""

QueueName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,40}$(?!\n)", max_length=MAX_QUEUE_NAME)]
Ticket = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,400}$(?!\n)", max_length=400)]
"""What the server gives out with a message, signed; it identifies one delivery."""
Tickets = Annotated[list[Ticket], Meta(min_length=1, max_length=MAX_MESSAGES)]
MessageCount = Annotated[int, Meta(ge=1, le=MAX_MESSAGES)]
Delay = Annotated[float, Meta(ge=0, le=MAX_DELAY_S)]
Deadline = Annotated[float, Meta(ge=MIN_DEADLINE_S, le=MAX_DEADLINE_S)]
NewDeadline = Annotated[float, Meta(ge=0, le=MAX_DEADLINE_S)]


class QueueMessage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message: one of JSON text, a pickle, or a blob that has one of these.

    `envelope` says which Python pickled it; without one, the blob is JSON text after 16 bytes that
    make it unique, as they do in the blob of a pickle. `retries` is how often a handler has pushed
    it again.
    """

    json: Annotated[str, Meta(max_length=MESSAGE_BYTES)] | None = None
    pickled: Annotated[bytes, Meta(max_length=MESSAGE_BYTES)] | None = None
    blob: Content | None = None
    envelope: Envelope | None = None
    retries: Annotated[int, Meta(ge=0)] = 0


class CreateQueueRequest(Request, frozen=True):
    """Make a queue, unless there is one of that name: `POST /v1/queues`."""

    name: QueueName


class QueueRequest(Request, frozen=True):
    """Name a queue: `POST /v1/queues/info`, `.../delete`, `.../purge`."""

    name: QueueName


class QueuesRequest(Request, frozen=True):
    """List the names of all queues: `POST /v1/queues/list`."""


class QueuesListed(Answer, frozen=True):
    """The names of all queues, in order."""

    names: list[str]


class QueueInfo(Answer, frozen=True):
    """A queue: how many messages can be taken, come later, and were taken but not removed.

    `oldest_at` is when the first of those that can be taken was pushed; 0 without any.
    """

    name: str
    created_at: float
    ready: int
    delayed: int
    in_flight: int
    oldest_at: float = 0.0


class QueueRatesRequest(Request, frozen=True):
    """Return how fast messages come and go, by default in all queues: `POST /v1/queues/rates`."""

    names: Annotated[list[QueueName], Meta(max_length=MAX_QUEUES)] = []


class QueueRates(msgspec.Struct, frozen=True, kw_only=True):
    """How many messages were pushed, acknowledged, and failed in a handler.

    Each list has a count for every 10 seconds up to `until`, in seconds since the epoch: up to an
    hour, the oldest first, and without those before the first message.
    """

    queue: str
    until: float
    pushed: list[int]
    removed: list[int]
    failed: list[int]


class QueueRatesListed(Answer, frozen=True):
    """The rates of queues, in the order of their names."""

    rates: list[QueueRates]


class PushRequest(Request, frozen=True):
    """Add messages to a queue, all or none: `POST /v1/queues/push`.

    A repetition with the same `push_id` adds nothing. The messages can be taken after `delay_s`.
    """

    name: QueueName
    push_id: SubmitId
    messages: Annotated[list[QueueMessage], Meta(max_length=MAX_MESSAGES)]
    delay_s: Delay = 0.0


class TakeRequest(Request, frozen=True):
    """Take messages: `POST /v1/queues/take`.

    If there are none, the reply is delayed for up to `timeout_s` until there are. No other request
    takes these messages for `deadline_s`; acknowledge each by then, or it can be taken again. A
    job of a handler names its `attachment` and its `jid`; it receives nothing once it is to end.
    """

    name: QueueName
    max_count: MessageCount = 10
    timeout_s: Timeout = 0.0
    deadline_s: Deadline = 30.0
    attachment: Annotated[str, Meta(pattern=r"^(?:[0-9a-f]{32})?$(?!\n)", max_length=32)] = ""
    jid: Annotated[int, Meta(ge=0, le=2**53 - 1)] = 0


class TakenMessage(msgspec.Struct, frozen=True):
    """A message that was taken, and its ticket."""

    ticket: str
    message: QueueMessage
    pushed_at: float


class MessagesTaken(Answer, frozen=True):
    """The messages that were taken, and their deadline."""

    messages: list[TakenMessage]
    deadline_at: float


class AcknowledgeRequest(Request, frozen=True):
    """Remove messages that were taken: `POST /v1/queues/ack`. Repeating it is not an error."""

    name: QueueName
    tickets: Tickets


class ExtendRequest(Request, frozen=True):
    """Set new deadlines of messages that were taken: `POST /v1/queues/extend`.

    With a deadline of 0 they can be taken again at once. `failed` is whether that is because a
    handler failed with them.
    """

    name: QueueName
    tickets: Tickets
    deadline_s: NewDeadline
    failed: bool = False


class TicketsChecked(Answer, frozen=True):
    """The positions of tickets that are no longer valid, as their messages were given back."""

    expired: list[int] = []
