"""Reading a stream: the values that a job yields, in order, while it runs."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from cloud._arguments.handles import ValueStream
from cloud._arguments.option_values import whole
from cloud._config.border import BORDER, of_users
from cloud._jobs.awaited import InThread
from cloud._packing.errors import PackingError
from cloud._resources.stream import StreamClient
from cloud.errors import CloudException, CloudTimeoutError, CloudValueError

if TYPE_CHECKING:
    from picloud_model.pack import Envelope
    from picloud_model.wire.stream import StreamChunk, StreamRead

    from cloud._jobs.job import Job
    from cloud._jobs.wait import Waiter


class JobStream(ValueStream):
    """The values that a job yields; `next` waits for the next one, `await anext` in an event loop.

    After the last value it ends, or raises what the job's function raised. The job is only so far
    ahead of its reader: 1 MiB, or one value that is larger. A stream has one reader: the last one
    that began.

    Args:
        waiter: Waits for the jobs of the client that made the job.
        job: The job.
        start: The position of the first value to read.
        timeout_s: How many seconds to wait for each value; None for no limit.

    Attributes:
        job: The job that yields the values; its result is what the generator returned.
        position: How many values of the job were read: the position of the next one. Another
            program reads on with `cloud.Job(jid).stream(position)`.
    """

    def __init__(self, waiter: Waiter, job: Job, start: int, timeout_s: float | None) -> None:
        position = whole(start)
        if position is None or position < 0:
            raise CloudValueError(f"start must be a whole number from 0, not {start!r:.80}.")
        self.job = job
        self.position = position
        self._waiter = waiter
        self._streams = StreamClient(waiter.transport)
        self._reader = uuid4().hex
        self._timeout_s = timeout_s
        self._take = True
        self._chunks: deque[StreamChunk] = deque()
        self._values: deque[Any] = deque()
        self._envelope: Envelope | None = None
        self._has_ended = False
        self._is_over = False
        # Several threads may read, and a loop that gave up waiting leaves one that still does.
        self._lock = threading.Lock()

    @of_users
    def __next__(self) -> Any:
        with self._lock:
            if self._wait():
                self.position += 1
                return self._values.popleft()
        if not self._is_over:
            self._is_over = True
            self.job.result()
        raise StopIteration

    async def __anext__(self) -> Any:
        with BORDER:
            # Another task may take what has arrived before this one goes on.
            while not self._values and not self._has_ended:
                await InThread(self._has_next)
            if self._values:
                self.position += 1
                return self._values.popleft()
            if not self._is_over:
                try:
                    await self.job
                except Exception:  # and nothing else: a wait that is cancelled can be repeated
                    self._is_over = True
                    raise
                self._is_over = True
        raise StopAsyncIteration

    def _has_next(self) -> bool:
        with self._lock:
            return self._wait()

    def _wait(self) -> bool:
        """Wait for the next value; return False at the end."""
        while not self._values and not self._has_ended:
            if self._chunks:
                self._open(self._chunks.popleft())
            else:
                self._has_ended = self._read().has_ended
        return bool(self._values)

    def __repr__(self) -> str:
        return f"<stream of job {int(self.job)}, at {self.position}>"

    def _read(self) -> StreamRead:
        """Wait for the next values, or for the end of the job."""
        received: list[StreamRead] = []
        patience = self._waiter.patience()

        def attempt(hold_s: float) -> bool:
            received[:] = [self._request(hold_s)]
            return _is_news(received[0])

        def expired() -> CloudTimeoutError:
            text = f"no further value after {self._timeout_s:g} s; {self.position:,} were read"
            return CloudTimeoutError(text, int(self.job))

        try:
            patience.until(attempt, patience.deadline(self._timeout_s), expired)
        except KeyboardInterrupt:
            jid = int(self.job)
            raise KeyboardInterrupt(
                f"Job {jid} goes on; cloud.Job({jid}).stream({self.position}) reads on, "
                f"cloud.kill({jid}) ends it."
            ) from None
        self._chunks.extend(received[0].chunks)
        self._envelope = received[0].envelope
        return received[0]

    def _request(self, hold_s: float) -> StreamRead:
        """Ask for the values from this position on, which removes those before it."""
        supervisor, jid = self._waiter.supervisor, int(self.job)
        if supervisor is None:
            return self._send(hold_s)
        timed = self._timeout_s is not None
        return supervisor.wait(self._send, _is_news, hold_s, [(jid, jid)], timed=timed)

    def _send(self, hold_s: float) -> StreamRead:
        jid = int(self.job)
        read = self._streams.read(jid, self.position, self._reader, take=self._take, hold_s=hold_s)
        # Before the job has begun there is no record of who reads.
        self._take = self._take and read.envelope is None
        return read

    def _open(self, chunk: StreamChunk) -> None:
        """Unpickle a chunk, and leave out its values before this position."""
        data = chunk.content.data
        if data is None:
            (data,) = self._waiter.blobs.fetch([chunk.content])
        assert self._envelope is not None
        jid = int(self.job)
        try:
            values = self._waiter.packer.values(
                data, chunk.count, self._envelope, f"values of job {jid}"
            )
        except PackingError as error:
            raise CloudException(str(error), jid) from error.__cause__
        self._values.extend(values[max(0, self.position - chunk.first) :])


def _is_news(read: StreamRead) -> bool:
    """Whether there are values, or there will be no more."""
    return bool(read.chunks) or read.has_ended
