"""Adding to a stream, in the job: the first value is sent at once, others together."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Self

from picloud_model.wire import MAX_RESULT_BYTES, Content
from picloud_model.wire.stream import MAX_CHUNK_BYTES, MAX_CHUNK_VALUES, StreamChunk

from cloud._packing.errors import PackingError
from cloud._resources.blob import content_of
from cloud._resources.stream import StreamClient
from cloud.errors import BlobsLacking, CloudException, CloudTimeoutError, CloudValueError

if TYPE_CHECKING:
    from types import TracebackType

    from cloud._client.client import Client

LINGER_S: Final = 0.005
"""How long values accumulate after a request; the first one after that is sent at once."""
_SHARE: Final = 2
"""They accumulate at least so many times as long as the request took; one that comes after a rest
as long as the request is sent at once."""
_LONGEST_S: Final = 0.05
"""They accumulate no longer, as after a request that waited for the reader."""
_GRACE_S: Final = 0.002
"""How much later the other thread sends: a thread that computes delays each of its steps."""


class StreamWriter:
    """Sends the values of the job that runs here.

    The thread of the job sends what it adds, as long as it adds more. When it pauses, another
    thread sends what is left; that one begins with the first pause. Both wait for the reader.

    Args:
        client: The client of this job.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._streams = StreamClient(client.transport)
        self._pickles: list[bytes] = []
        self._bytes = 0
        self._next = 0
        self._stored = 0
        self._due = 0.0
        self._rested = 0.0
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._has_rest = threading.Event()
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()
        self._error: CloudException | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None and not isinstance(error, Exception):
            return  # a job that is killed waits for nothing
        try:
            with suppress(*() if error is None else (CloudException,)):
                self.send()
                if not self._next:  # a stream without values is one, too
                    self._append(0, [])
        finally:
            self._closed.set()
            self._has_rest.set()
            if self._thread is not None:
                self._thread.join()

    def add(self, value: Any) -> None:
        """Add a value; wait while the reader is behind.

        Raises:
            CloudException: When it cannot be pickled or sent.
        """
        position = self._next
        if position < self._stored:  # an earlier attempt of this job has added it
            self._next += 1
            return
        data = self._pickled(value, position)
        if self._bytes and self._bytes + len(data) > MAX_CHUNK_BYTES:
            self.send()
        with self._lock:
            self._pickles.append(data)
            self._bytes += len(data)
            self._next += 1
            is_first = len(self._pickles) == 1
        is_full = self._bytes >= MAX_CHUNK_BYTES or len(self._pickles) >= MAX_CHUNK_VALUES
        if is_full or time.monotonic() >= (self._rested if is_first else self._due):
            self.send()
        elif not self._has_rest.is_set():
            self._has_rest.set()
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._send_rests, name="cloud stream", daemon=True
                )
                self._thread.start()

    def send(self) -> None:
        """Send what was added; wait until there is room for it.

        Raises:
            CloudException: When that fails, or has failed in the other thread.
        """
        with self._sending:
            if self._error is not None:
                raise self._error
            with self._lock:
                pickles, self._pickles, self._bytes = self._pickles, [], 0
                first = self._next - len(pickles)
            if not pickles:
                return
            begun_at = time.monotonic()
            while pickles:
                self._stored = self._append(first, pickles)
                added = self._stored - first
                first, pickles = first + added, pickles[added:]
            now = time.monotonic()
            took_s = now - begun_at
            self._rested = now + min(max(LINGER_S, took_s), _LONGEST_S)
            self._due = now + min(max(LINGER_S, _SHARE * took_s), _LONGEST_S)

    def _send_rests(self) -> None:
        while not self._closed.is_set():
            self._has_rest.wait()
            while (pause_s := self._due + _GRACE_S - time.monotonic()) > 0:
                if self._closed.wait(pause_s):
                    return
            self._has_rest.clear()
            try:
                self.send()
            except CloudException as error:
                self._error = error

    def _pickled(self, value: Any, position: int) -> bytes:
        try:
            data = self._client.packer.pickle(value, f"value {position} of the stream")
        except PackingError as error:
            raise CloudException(str(error)) from error.__cause__
        if len(data) > MAX_RESULT_BYTES:
            raise CloudValueError(
                f"Value {position} of the stream is {len(data):,} bytes pickled, and the limit is "
                f"{MAX_RESULT_BYTES:,}: store it in your bucket (cloud.bucket) and yield its key."
            )
        return data

    def _append(self, first: int, pickles: list[bytes]) -> int:
        """Add values; wait for room; return how many values the stream has then."""
        data, blobs = b"".join(pickles), dict[str, bytes]()
        content = Content(size=len(data), data=data)
        if len(data) > MAX_CHUNK_BYTES:
            content = content_of(data)
            blobs[content.digest] = data
        chunk = StreamChunk(first, len(pickles), content) if pickles else None
        count = first

        def attempt(hold_s: float) -> bool:
            nonlocal count
            self._client.blobs.ensure(blobs)
            try:
                count = self._streams.append(self._client.packer.envelope, chunk, hold_s)
            except BlobsLacking:
                self._client.blobs.ensure(blobs, anew=True)
                return False
            return chunk is None or count > first

        self._client.waiter.patience().until(attempt, None, CloudTimeoutError)
        return count
