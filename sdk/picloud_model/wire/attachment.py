"""Attachments: the handlers of queues, which jobs call with each message."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from picloud_model.wire.body import Answer, Request, SubmitId
from picloud_model.wire.job import SubmitRequest
from picloud_model.wire.limits import MAX_ITEMS
from picloud_model.wire.queue import MAX_MESSAGES, Delay, QueueMessage, QueueName, Tickets

HOLD_S: Final = 15.0
"""For how long a message that is handled is not given to another handler; jobs prolong it. After
that, the message of a job that was killed is handled again."""
MAX_OUTPUTS: Final = 50
"""Maximum number of output queues of an attachment."""
MAX_READERS: Final = 128
"""Maximum number of messages that one job handles at the same time."""
MAX_PARALLEL_JOBS: Final = 1000
"""Maximum number of jobs of an attachment that run at the same time."""

MAX_PER_SECOND: Final = 1_000_000.0
MAX_IN_FLIGHT: Final = 1_000_000

_Names = Annotated[list[QueueName], Meta(max_length=MAX_OUTPUTS)]
_Parallel = Annotated[int, Meta(ge=1, le=MAX_PARALLEL_JOBS)]
_Readers = Annotated[int, Meta(ge=1, le=MAX_READERS)]
_PerSecond = Annotated[float, Meta(ge=0, le=MAX_PER_SECOND)]
_InFlight = Annotated[int, Meta(ge=0, le=MAX_IN_FLIGHT)]


class AttachRequest(Request, frozen=True):
    """Attach a handler to a queue, in place of an earlier one: `POST /v1/attachments`.

    `job` is what each job of the handler runs: a call without dependencies. Its `submit_id` becomes
    the id of the attachment. `outputs` and `errors` name the queues into which the handler pushes.
    All its jobs together take up to `max_per_second` messages a second, and none while
    `max_in_flight` are in flight; 0 means no limit. `dedupe` is whether the handler names
    the sources of what it pushes.
    """

    queue: QueueName
    job: SubmitRequest
    outputs: _Names = []
    errors: _Names = []
    max_parallel_jobs: _Parallel = 1
    readers_per_job: _Readers = 1
    max_per_second: _PerSecond = 0.0
    max_in_flight: _InFlight = 0
    dedupe: bool = False


class AttachmentRequest(Request, frozen=True):
    """Name the queue of an attachment: `POST /v1/attachments/info`, `.../delete`."""

    queue: QueueName


class UpdateAttachmentRequest(Request, frozen=True):
    """Change an attachment while it works: `POST /v1/attachments/update`.

    What is null stays as it is. The jobs of a handler that is paused finish the messages that they
    have, and receive no others.
    """

    queue: QueueName
    paused: bool | None = None
    max_parallel_jobs: _Parallel | None = None
    max_per_second: _PerSecond | None = None
    max_in_flight: _InFlight | None = None


class AttachmentsRequest(Request, frozen=True):
    """List all attachments: `POST /v1/attachments/list`."""


class AttachmentInfo(Answer, frozen=True):
    """An attachment: its handler, the queues that it pushes into, and its unfinished jobs."""

    queue: str
    id: str
    function_name: str
    created_at: float
    outputs: list[str]
    errors: list[str]
    max_parallel_jobs: int
    readers_per_job: int
    jids: list[int]
    paused: bool = False
    max_per_second: float = 0.0
    max_in_flight: int = 0
    dedupe: bool = False


class AttachmentsListed(Answer, frozen=True):
    """All attachments, in the order of the names of their queues."""

    attachments: list[AttachmentInfo]


class HandlerOutput(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Messages that a handler pushes into one queue.

    With `sources`, the position of the ticket from which each was made, each is pushed once: what
    the attachment has made of the same message within a week is left out.
    """

    queue: QueueName
    messages: Annotated[list[QueueMessage], Meta(min_length=1, max_length=MAX_MESSAGES)]
    delay_s: Delay = 0.0
    sources: Annotated[
        list[Annotated[int, Meta(ge=0, lt=MAX_MESSAGES)]], Meta(max_length=MAX_MESSAGES)
    ] = []


class HandledRequest(Request, frozen=True):
    """Push what a handler made of messages, then remove these: `POST /v1/attachments/handled`.

    If a ticket is no longer valid, nothing is done, and the reply has its position. What was pushed
    for the same messages of the same attachment is not pushed again within five minutes. `failed`
    says with how many of the messages the handler failed.
    """

    queue: QueueName
    attachment: SubmitId
    tickets: Tickets
    outputs: Annotated[list[HandlerOutput], Meta(max_length=MAX_ITEMS)] = []
    failed: Annotated[int, Meta(ge=0, le=MAX_MESSAGES)] = 0
