"""Jobs of calls: calls of one endpoint that arrive in the same moment share a batch."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import contextmanager
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from msgspec.structs import replace
from picloud_model.wire import Content, PackPart, encode
from picloud_model.wire.rest import MAX_CALL_BYTES

from picloud_api.engine.process.gathering import Gathering
from picloud_api.store.rest_record import endpoint_key
from picloud_api.usecases.rest.arguments.call_arguments import packed
from picloud_api.usecases.rest.found_endpoint import EndpointChanged

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from picloud_model.wire import SubmitRequest
    from picloud_model.wire.rest import InvokeRequest

    from picloud_api.store.commits import Answer, Commits
    from picloud_api.store.draft import Draft
    from picloud_api.store.rest_record import EndpointRecord
    from picloud_api.usecases.jobs.submit import SubmitJobs
    from picloud_api.usecases.rest.found_endpoint import FoundEndpoint
    from picloud_api.usecases.storage.blob import Blobs

_MOST_TOGETHER: Final = 100
"""The most calls that share a batch."""
_APART_BYTES: Final = 1024
"""The most bytes of text and files in a call that shares a batch with others."""


class CallJobs:
    """Submits the jobs of calls.

    While calls of an endpoint are waited for, those that arrive in the same round of the event loop
    share a batch: one transaction makes their jobs, one request of a slot leases them, and one
    stores their results. A call that is alone is submitted at once.
    """

    def __init__(self, commits: Commits, submit: SubmitJobs, blobs: Blobs) -> None:
        self._commits = commits
        self._submit = submit
        self._blobs = blobs
        self._waited: Counter[str] = Counter()
        self._gathering: Gathering[Mapping[str, Any], int] = Gathering(_MOST_TOGETHER)

    @contextmanager
    def waits(self, account: str, label: str) -> Iterator[None]:
        """Count a call of an endpoint as one that is waited for, in a `with` block."""
        endpoint = f"{account}/{label}"
        self._waited[endpoint] += 1
        try:
            yield
        finally:
            self._waited[endpoint] -= 1
            if not self._waited[endpoint]:
                del self._waited[endpoint]

    async def submit(
        self,
        account: str,
        request: InvokeRequest,
        found: FoundEndpoint,
        calls: Sequence[Mapping[str, Any]],
    ) -> int:
        """Submit the jobs of calls; return the first jid.

        Args:
            account: The account of the endpoint.
            request: What asks for them; without a submit id it is one call, and is not repeated.
            found: The endpoint.
            calls: The arguments of each call, as its function takes them.

        Raises:
            PiCloudError: As for `SubmitJobs.submit`.
            EndpointChanged: When the endpoint was only known from memory, and has changed.
        """
        job = found.record.job
        if request.submit_id:
            return (await self._submitted(account, request, found, calls)).start
        endpoint = f"{account}/{request.label}"
        submit = partial(self._submitted, account, request, found)
        if endpoint not in self._waited or _is_apart(job, calls[0]):
            return (await submit(calls)).start
        # A call whose endpoint must be checked never joins those whose endpoint was read before.
        kind = endpoint, job.submit_id, found.is_remembered
        return await self._gathering.add(kind, calls[0], submit)

    async def _submitted(
        self,
        account: str,
        request: InvokeRequest,
        found: FoundEndpoint,
        calls: Sequence[Mapping[str, Any]],
    ) -> range:
        """Submit calls as one batch; return their jids."""
        job = found.record.job
        options = job.options
        job = replace(
            job,
            submit_id=request.submit_id or uuid4().hex,
            kind="map" if len(request.calls) > 1 else "call",
            count=len(calls),
            options=replace(options, label=options.label or request.label),
            parts=[await self._part(account, calls)],
        )
        fingerprint = blake2b(encode(job), digest_size=16).digest()
        parent = f"rest {request.label}"
        commit = None
        if found.is_remembered:
            key = endpoint_key(account, request.label)
            commit = partial(self._commit_if_current, key, found.record)
        submitted = await self._submit.submit(
            account, job, fingerprint, parent=parent, commit=commit
        )
        return range(submitted.first, submitted.first + submitted.count)

    async def _commit_if_current(
        self, key: str, record: EndpointRecord, submit: Callable[[Draft], Awaitable[Answer]]
    ) -> Answer:
        """Commit the change that submits calls, unless the record of their endpoint has changed."""

        async def plan(draft: Draft) -> Answer:
            if await draft.check(key) is not record:
                raise EndpointChanged
            return await submit(draft)

        return await self._commits.run(plan)

    async def _part(self, account: str, calls: Sequence[Mapping[str, Any]]) -> PackPart:
        """Return the arguments of calls; with large files they are stored as a blob."""
        files = sum(len(each) for call in calls for each in call.values() if type(each) is bytes)
        if files <= MAX_CALL_BYTES:
            data = packed(calls)
        else:
            # The largest files take a tenth of a second, in which other requests are answered.
            data = await asyncio.to_thread(packed, calls)
        if len(data) <= MAX_CALL_BYTES:
            return PackPart(0, len(calls), Content("", len(data), data))
        (digest,) = (await self._blobs.store(account, [data])).digests
        return PackPart(0, len(calls), Content(digest, len(data)))


def _is_apart(job: SubmitRequest, arguments: Mapping[str, Any]) -> bool:
    """Whether a call is a batch of its own, whatever else is called."""
    if job.reuse is not None or job.options.on_done is not None:
        return True
    room = _APART_BYTES
    for value in arguments.values():
        if isinstance(value, str | bytes):
            room -= len(value)
        elif isinstance(value, list | dict):
            return True
    return room < 0
