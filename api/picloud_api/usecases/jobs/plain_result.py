"""A result as JSON, for programs in other languages; it is read without being unpickled."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from picloud_model.errors import BlobMissing, NotFound, RequestRefused, TooLarge, Unavailable
from picloud_model.job import Cause, Status
from picloud_model.pack import DIGEST_BYTES, unseal
from picloud_model.plain_value import MAX_BYTES, NotPlain, plain_value
from picloud_model.wire import JSON, WaitRequest, encode

from picloud_api.engine.jobs.finish import read_failure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from picloud_model.wire import Outcome

    from picloud_api.engine.jobs.outcomes import Held
    from picloud_api.usecases.jobs.wait import WaitForJobs
    from picloud_api.usecases.storage.blob import Blobs

MAX_PARCEL: Final = MAX_BYTES + DIGEST_BYTES
"""The largest parcel that is read into memory."""
_QUICK_BYTES: Final = 4096
"""A pickle up to this size is read at once: a thread would take longer."""
_MEMORY: Final = 8
"""Bytes of memory for each byte of a large pickle, as a value and as JSON: about so many."""


class PlainResults:
    """Returns the results of jobs that JSON can hold."""

    def __init__(self, wait: WaitForJobs, blobs: Blobs) -> None:
        self._wait = wait
        self._blobs = blobs

    async def read(
        self,
        account: str,
        jid: int,
        hold: Callable[[int], Awaitable[Held]],
        wait_s: float = 0.0,
    ) -> bytes:
        """Return the result of a job as JSON.

        Args:
            account: The account of the job.
            jid: The job.
            hold: Counts bytes that the request holds in memory.
            wait_s: How long to wait for the job to end, in seconds.

        Raises:
            JobNotFound: When the job does not exist in this account.
            JobDeleted: When it was deleted.
            Unavailable: When it has not ended by then.
            NotFound: When it failed, or its result is no longer stored.
            RequestRefused: When JSON cannot hold the result, or not in 4 MiB.
        """
        pickled = await self.pickled(account, jid, hold, wait_s)
        if len(pickled) <= _QUICK_BYTES:
            return _as_json(jid, pickled)
        # The largest results take a second, in which the server answers other requests, too.
        return await asyncio.to_thread(_as_json, jid, pickled)

    async def pickled(
        self, account: str, jid: int, hold: Callable[[int], Awaitable[Held]], wait_s: float
    ) -> bytes:
        """Return the result of a job as it is stored, pickled; see `read`."""
        outcome = await self.outcome(account, jid, hold, wait_s)
        return await self.pickle_of(account, outcome, hold)

    async def outcome(
        self, account: str, jid: int, hold: Callable[[int], Awaitable[Held]], wait_s: float
    ) -> Outcome:
        """Return the outcome of a job that is done; its result may be a blob; see `read`."""
        request = WaitRequest(jids=[(jid, jid)], timeout_s=wait_s)
        outcomes = (await self._wait.wait(account, request, hold)).outcomes
        if not outcomes:
            raise Unavailable(f"Job {jid} has not ended, so it has no result yet; ask again later.")
        if outcomes[0].status != Status.DONE:
            raise _failed(outcomes[0], await self._parcel(account, outcomes[0], hold))
        return outcomes[0]

    async def pickle_of(
        self, account: str, outcome: Outcome, hold: Callable[[int], Awaitable[Held]]
    ) -> bytes:
        """Return the pickle of the result of a job that is done; see `read`."""
        return bytes(unseal(await self._parcel(account, outcome, hold)))

    async def _parcel(
        self, account: str, outcome: Outcome, hold: Callable[[int], Awaitable[Held]]
    ) -> bytes:
        if outcome.blob is None:
            return outcome.payload or b""
        await hold(_MEMORY * min(max(outcome.blob.size, 0), MAX_PARCEL))
        try:
            return await self._blobs.read_checked(account, outcome.blob, MAX_PARCEL)
        except TooLarge:
            raise _unreadable(outcome.jid, f"is larger than {MAX_BYTES // 2**20} MiB") from None
        except BlobMissing:
            raise NotFound(f"The result of job {outcome.jid} is no longer stored.") from None


def _as_json(jid: int, pickled: bytes) -> bytes:
    try:
        return encode(plain_value(pickled), JSON)
    except NotPlain as error:
        raise _unreadable(jid, error.predicate) from None
    except (TypeError, ValueError):
        raise _unreadable(jid, "has a number or a text that JSON cannot hold") from None


def _unreadable(jid: int, predicate: str) -> RequestRefused:
    return RequestRefused(
        f"The result of job {jid} {predicate}; read it with cloud.result({jid}) "
        f"or `picloud result {jid}`.",
        field="jid",
    )


def _failed(outcome: Outcome, parcel: bytes) -> NotFound:
    failure = read_failure(parcel)
    reason = failure.message if failure is not None else Cause(outcome.cause).phrase
    return NotFound(f"Job {outcome.jid} has no result, as its status is {outcome.status}: {reason}")
