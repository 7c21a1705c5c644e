"""A server in this process that keeps one stream."""

from __future__ import annotations

import pickle
import threading

from picloud_model import errors, wire
from picloud_model.wire.stream import (
    AppendStreamRequest,
    ReadStreamRequest,
    StreamAppended,
    StreamChunk,
    StreamRead,
)

from tests.unit.sdk.fake_server import FakeServer


class StreamServer(FakeServer):
    """Keeps the chunks of one stream; an earlier attempt may have added `count` values."""

    def __init__(self, count: int = 0) -> None:
        super().__init__()
        self.count = count
        self.chunks: list[StreamChunk] = []
        self.full = 0
        """How many requests are answered that there is no room."""
        self.refusing = False
        self.requests = 0
        self.reads: list[ReadStreamRequest] = []
        self.readable = threading.Event()
        """Until it is set, readers wait."""
        self.readable.set()

    def _streams(self, body: bytes) -> StreamAppended:
        chunk = wire.decode(body, AppendStreamRequest).chunk
        self.requests += 1
        if self.refusing:
            raise errors.TokenRefused
        if self.full:
            self.full -= 1
        elif chunk is not None and chunk.first == self.count:
            self.chunks.append(chunk)
            self.count += chunk.count
        return StreamAppended(count=self.count)

    def _streams_read(self, body: bytes) -> StreamRead:
        request = wire.decode(body, ReadStreamRequest)
        self.reads.append(request)
        self.readable.wait(30)
        chunks = [each for each in self.chunks if each.first + each.count > request.start]
        envelope = self.envelope if self.chunks else None
        return StreamRead(chunks=chunks[:1], envelope=envelope, has_ended=not chunks)

    def values(self) -> list[object]:
        """Return what was added."""
        found = []
        for chunk in self.chunks:
            data = chunk.content.data
            data = self.blobs[chunk.content.digest] if data is None else data
            for _ in range(chunk.count):
                found.append(pickle.loads(data))
                data = data[len(pickle.dumps(found[-1], pickle.HIGHEST_PROTOCOL)) :]
        return found
