"""Results of calls: in the encoding that the function was published with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.errors import BlobMissing, InvokedJobFailed, NotFound, RequestRefused
from picloud_model.plain_value import NotPlain, plain_value
from picloud_model.wire import JSON

from picloud_api.usecases.jobs.plain_result import MAX_PARCEL
from picloud_api.usecases.rest.large_result import DIGEST_BYTES, slice_of, span_of, text_of, utf8

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from picloud_model.wire import Content

    from picloud_api.engine.jobs.outcomes import Held
    from picloud_api.store.rest_record import EndpointRecord
    from picloud_api.usecases.jobs.plain_result import PlainResults
    from picloud_api.usecases.storage.blob import Blobs, StoredBlob

PICKLE: Final = "application/python-pickle"
_BINARY: Final = "application/octet-stream"
_TEXT: Final = "text/plain; charset=utf-8"
_PIECES: Final = 3
"""How many pieces of a large result are in memory: one is read, one waits, one is sent."""


class CallResult(msgspec.Struct, frozen=True):
    """The bytes of a result, and their content type.

    With `is_value` they are JSON that is sent together with the jid, not by itself.
    """

    data: bytes
    content_type: str
    is_value: bool = False


class LargeCallResult(msgspec.Struct, frozen=True):
    """A result that is sent piece by piece; its `size` is None if only the last piece shows it."""

    pieces: AsyncIterator[bytes]
    size: int | None
    content_type: str


class CallResults:
    """Reads the results of calls: small ones at once, large ones while they are sent."""

    def __init__(self, results: PlainResults, blobs: Blobs) -> None:
        self._results = results
        self._blobs = blobs

    async def read(
        self,
        account: str,
        jid: int,
        record: EndpointRecord,
        hold: Callable[[int], Awaitable[Held]],
        wait_s: float,
    ) -> CallResult | LargeCallResult:
        """Return the result of a call.

        Args:
            account: The account of the endpoint.
            jid: The job.
            record: The version of the endpoint that was called.
            hold: Counts bytes that the request holds in memory.
            wait_s: How long to wait for the job to end, in seconds.

        Raises:
            InvokedJobFailed: When the job failed, or its result cannot be encoded as the function
                was published.
            Unavailable: When the job has not ended by then.
        """
        try:
            if record.out_encoding == "json":
                data = await self._results.read(account, jid, hold, wait_s)
                return CallResult(data, JSON, is_value=True)
            outcome = await self._results.outcome(account, jid, hold, wait_s)
            if outcome.blob is not None and outcome.blob.size > MAX_PARCEL:
                return await self._large(account, jid, record, outcome.blob, hold)
            pickled = await self._results.pickle_of(account, outcome, hold)
        except (NotFound, RequestRefused) as error:
            raise InvokedJobFailed(error.message) from None
        if record.out_encoding == "pickle":
            return CallResult(pickled, PICKLE)
        return raw_result(jid, pickled, record.content_type)

    async def _large(
        self,
        account: str,
        jid: int,
        record: EndpointRecord,
        content: Content,
        hold: Callable[[int], Awaitable[Held]],
    ) -> LargeCallResult:
        try:
            blob = await self._blobs.stored(account, content)
        except BlobMissing:
            raise NotFound(f"The result of job {jid} is no longer stored.") from None
        await hold(_PIECES * len(blob.first))
        if record.out_encoding == "pickle":
            pieces = slice_of(blob, DIGEST_BYTES, blob.size)
            return LargeCallResult(pieces, blob.size - DIGEST_BYTES, PICKLE)
        return large_raw_result(jid, blob, record.content_type)


def large_raw_result(jid: int, blob: StoredBlob, content_type: str) -> LargeCallResult:
    """Return a large result that is bytes or text as it is; see `raw_result`."""
    span = span_of(blob.first, blob.size)
    if span is None:
        raise _not_raw(jid, "is another value")
    pieces = slice_of(blob, span.start, span.stop)
    if span.kind is bytes:
        return LargeCallResult(pieces, span.stop - span.start, content_type or _BINARY)
    # How long the text is as UTF-8 depends on characters that are not valid.
    return LargeCallResult(text_of(pieces), None, content_type or _TEXT)


def raw_result(jid: int, pickled: bytes, content_type: str) -> CallResult:
    r"""Return a result that is bytes or text as it is.

    Args:
        jid: The job.
        pickled: The pickle of its result.
        content_type: That of the endpoint; if "", the type of the result decides.

    Raises:
        InvokedJobFailed: When it is neither bytes nor text.

    >>> raw_result(1, b"\x80\x05C\x02<>.", "text/html")
    CallResult(data=b'<>', content_type='text/html', is_value=False)
    """
    try:
        value = plain_value(pickled)
    except NotPlain as error:
        raise _not_raw(jid, error.predicate) from None
    if isinstance(value, bytes):
        return CallResult(value, content_type or _BINARY)
    if isinstance(value, str):
        return CallResult(utf8(value), content_type or _TEXT)
    raise _not_raw(jid, f"is of type {type(value).__name__}")


def _not_raw(jid: int, predicate: str) -> InvokedJobFailed:
    return InvokedJobFailed(
        f"The result of job {jid} {predicate}, but the function is published with "
        "out_encoding='raw', so it must return bytes or text."
    )
