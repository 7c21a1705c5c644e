"""Streams: requests and answers about the values that a job yields while it runs."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from picloud_model.pack import INLINE_BYTES, Envelope
from picloud_model.wire.blob import Content
from picloud_model.wire.body import Answer, Jid, Request, Timeout

MAX_CHUNK_BYTES: Final = INLINE_BYTES
"""Largest chunk that is part of a request; the values of a larger one are a blob."""
MAX_CHUNK_VALUES: Final = 10_000
"""With so many values a job sends a chunk."""
MAX_CHUNK_COUNT: Final = 2**20
"""Most values in a chunk: the server merges small ones."""
MAX_UNREAD_BYTES: Final = 1024 * 1024
"""With so many bytes unread, a job waits for its reader."""
MAX_UNREAD_CHUNKS: Final = 40
"""With so many chunks unread, a job waits for its reader."""

Position = Annotated[int, Meta(ge=0, le=2**53 - 1)]
"""The number of a value in its stream, from 0."""
ReaderId = Annotated[str, Meta(pattern="^[0-9a-f]{32}$", max_length=32)]
"""A UUID in hex that the client makes; it identifies one reader of a stream."""


class StreamChunk(msgspec.Struct, frozen=True, array_like=True):
    """Values of a stream that follow each other: the position of the first, how many, the pickles.

    The content is one pickle after another.
    """

    first: Position
    count: Annotated[int, Meta(ge=1, le=MAX_CHUNK_COUNT)]
    content: Content


class AppendStreamRequest(Request, frozen=True):
    """Add values to the stream of the job whose token is sent: `POST /v1/streams`.

    The reply waits until there is room, for `timeout_s` at most. Without a chunk nothing is added.
    """

    envelope: Envelope
    chunk: StreamChunk | None = None
    timeout_s: Timeout = 0.0


class StreamAppended(Answer, frozen=True):
    """How many values the stream has had.

    If that is less than with the chunk, there was no room for it: send it again. If it is more, an
    earlier attempt of the job has added them.
    """

    count: int


class ReadStreamRequest(Request, frozen=True):
    """Return values of a stream from a position on: `POST /v1/streams/read`.

    The values before it are removed. The reply waits for the first value, or the end of the job.
    With `take` this reader takes the place of an earlier one.
    """

    jid: Jid
    start: Position
    reader: ReaderId
    take: bool = False
    timeout_s: Timeout = 0.0


class StreamRead(Answer, frozen=True):
    """Values of a stream, which may begin before the position that was requested.

    `envelope` is None before the job has begun. `has_ended` says that the job has ended and there
    are no more values.
    """

    chunks: list[StreamChunk]
    envelope: Envelope | None = None
    has_ended: bool = False
