"""Reads the results of calls: small ones at once, large ones while they are sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_model.errors import BlobMissing, InvokedJobFailed, NotFound, RequestRefused
from picloud_model.pack import DIGEST_BYTES
from picloud_model.wire import JSON, MAX_RESULT_BYTES

from picloud_api.usecases.jobs.plain_result import MAX_PARCEL
from picloud_api.usecases.rest.application import app_response, large_app_response
from picloud_api.usecases.rest.call_result import (
    PICKLE,
    CallResult,
    LargeCallResult,
    large_raw_result,
    raw_result,
)
from picloud_api.usecases.rest.large_result import slice_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from picloud_model.wire import Outcome

    from picloud_api.engine.jobs.outcomes import Held
    from picloud_api.store.rest_record import EndpointRecord
    from picloud_api.usecases.jobs.plain_result import PlainResults
    from picloud_api.usecases.rest.application import AppResponse
    from picloud_api.usecases.storage.blob import Blobs, StoredBlob

_NOT_JSON: Final = (
    "out_encoding='raw' if it returns bytes or text, else with 'pickle': results have up to "
    f"{MAX_RESULT_BYTES // 2**20} MiB then"
)
"""What takes results that JSON does not."""
_PIECES: Final = 3
"""How many pieces of a large result are in memory: one is read, one waits, one is sent."""


class ResultReader:
    """Reads results of calls as their endpoints return them.

    Each method waits for the end of a job of an account for `wait_s` seconds; `hold` counts bytes
    that the request holds in memory. They raise InvokedJobFailed when the job failed or its result
    cannot be encoded, and Unavailable when it has not ended by then.
    """

    def __init__(self, results: PlainResults, blobs: Blobs) -> None:
        self._results = results
        self._blobs = blobs

    async def result(
        self,
        account: str,
        jid: int,
        record: EndpointRecord,
        hold: Callable[[int], Awaitable[Held]],
        wait_s: float,
    ) -> CallResult | LargeCallResult:
        """Return the result of a function that was published as a record says."""
        try:
            if record.out_encoding == "json":
                return await self._value(account, jid, hold, wait_s)
            outcome = await self._results.outcome(account, jid, hold, wait_s)
            blob = await self._large(account, outcome, hold)
            if blob is None:
                pickled = await self._results.pickle_of(account, outcome, hold)
        except (NotFound, RequestRefused) as error:
            raise InvokedJobFailed(error.message) from None
        if blob is None:
            if record.out_encoding == "pickle":
                return CallResult(pickled, PICKLE)
            return raw_result(jid, pickled, record.content_type)
        if record.out_encoding == "pickle":
            pieces = slice_of(blob, DIGEST_BYTES, blob.size)
            return LargeCallResult(pieces, blob.size - DIGEST_BYTES, PICKLE)
        return large_raw_result(jid, blob, record.content_type)

    async def _value(
        self, account: str, jid: int, hold: Callable[[int], Awaitable[Held]], wait_s: float
    ) -> CallResult:
        """Return a result as JSON."""
        try:
            data = await self._results.read(account, jid, hold, wait_s)
        except RequestRefused as error:
            reason = error.message.removesuffix(".")
            raise InvokedJobFailed(f"{reason}, or publish the function with {_NOT_JSON}.") from None
        return CallResult(data, JSON, is_value=True)

    async def response(
        self, account: str, jid: int, hold: Callable[[int], Awaitable[Held]], wait_s: float
    ) -> AppResponse:
        """Return the response of an application."""
        try:
            outcome = await self._results.outcome(account, jid, hold, wait_s)
            blob = await self._large(account, outcome, hold)
            if blob is not None:
                return large_app_response(jid, blob)
            pickled = await self._results.pickle_of(account, outcome, hold)
        except (NotFound, RequestRefused) as error:
            raise InvokedJobFailed(error.message) from None
        return app_response(jid, pickled)

    async def _large(
        self, account: str, outcome: Outcome, hold: Callable[[int], Awaitable[Held]]
    ) -> StoredBlob | None:
        """Return the blob of a result that is too large for memory."""
        if outcome.blob is None or outcome.blob.size <= MAX_PARCEL:
            return None
        try:
            blob = await self._blobs.stored(account, outcome.blob)
        except BlobMissing:
            raise NotFound(f"The result of job {outcome.jid} is no longer stored.") from None
        await hold(_PIECES * len(blob.first))
        return blob
