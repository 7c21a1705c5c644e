"""Endpoints: functions that are published as web services, and their calls.

The function stays a pickle that only jobs read. What the server knows of it are its parameters,
which the SDK stores when it publishes the function.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from msgspec.structs import asdict, replace
from picloud_model.errors import EndpointNotFound, PiCloudError, RequestRefused, Unavailable
from picloud_model.wire import MSGPACK, encode
from picloud_model.wire.application import APPLICATION
from picloud_model.wire.rest import (
    MAX_ENDPOINTS,
    MAX_VERSIONS,
    EndpointInfo,
    EndpointsListed,
    Invoked,
)

from picloud_api.engine.process.removal import is_repeated
from picloud_api.store.rest_record import (
    EndpointAccess,
    EndpointRecord,
    OldEndpointRecord,
    endpoint_key,
    rate_key,
    version_key,
)
from picloud_api.usecases.rest.arguments.argument_type import check_types
from picloud_api.usecases.rest.arguments.call_arguments import read_arguments, read_texts
from picloud_api.usecases.rest.call_address import Call, CallAddresses
from picloud_api.usecases.rest.call_jobs import CallJobs
from picloud_api.usecases.rest.call_rate import CallRates
from picloud_api.usecases.rest.found_endpoint import (
    EndpointChanged,
    FoundEndpoint,
    existing,
    not_published,
)
from picloud_api.usecases.rest.warm_slots import put_warm

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from picloud_model.wire.rest import InvokeRequest, PublishRequest

    from picloud_api.engine.jobs.outcomes import Held
    from picloud_api.engine.process.context import Context
    from picloud_api.store.draft import Draft
    from picloud_api.usecases.jobs.submit import SubmitJobs
    from picloud_api.usecases.rest.application import AppResponse
    from picloud_api.usecases.rest.arguments.call_arguments import Texts
    from picloud_api.usecases.rest.call_result import CallResult, LargeCallResult
    from picloud_api.usecases.rest.result_reader import ResultReader
    from picloud_api.usecases.storage.blob import Blobs

_JOB_BYTES: Final = 128 * 1024
"""The largest description of the job of an endpoint; what is larger is a blob."""


class Endpoints:
    """Publishes functions of accounts, and submits the jobs of their calls.

    Attributes:
        addresses: Where results of calls are read.
    """

    def __init__(
        self,
        context: Context,
        submit: SubmitJobs,
        results: ResultReader,
        blobs: Blobs,
        key: bytes,
    ) -> None:
        self.addresses = CallAddresses(key)
        self._commits = context.commits
        self._clock = context.clock
        self._warm_changed = context.warm_slots.changed
        self._submit = submit
        self._results = results
        self._calls = CallJobs(context.commits, submit, blobs)
        self._rates = CallRates(context.commits, context.clock)

    async def publish(self, account: str, request: PublishRequest) -> EndpointInfo:
        """Publish a function, in place of an earlier one of the same label.

        Raises:
            RequestRefused: When its job is not a call that could be submitted, its parameters have
                too many types, or the account has as many endpoints as it may have.
            BlobMissing: When the job names blobs that are not stored.
        """
        job = request.job
        if len(encode(job, MSGPACK)) > _JOB_BYTES:
            message = f"A published function of more than {_JOB_BYTES:,} bytes must be a blob."
            raise RequestRefused(message, field="job.function")
        check_types(request.parameters)
        await self._submit.check_call(account, job, "The job of an endpoint")
        key = endpoint_key(account, request.label)
        view = self._commits.view
        if await view.fresh(key) is None:
            present = await view.scan(endpoint_key(account))
            if len(present) >= MAX_ENDPOINTS:
                message = f"Your account has {MAX_ENDPOINTS} endpoints, as many as it may have"
                raise RequestRefused(f"{message}; remove one.")
        new = EndpointRecord(
            job=job,
            parameters=request.parameters,
            takes_any=request.takes_any,
            out_encoding=request.out_encoding,
            content_type=request.content_type,
            published_at=self._clock(),
            access=EndpointAccess(
                public=request.public,
                calls_per_minute=request.calls_per_minute,
                origins=tuple(request.origins),
                warm=request.warm,
            ),
        )

        async def plan(draft: Draft) -> EndpointRecord:
            earlier: EndpointRecord | None = await draft.fresh(key)
            if earlier is not None and earlier.job.submit_id == job.submit_id:
                return earlier
            record = (
                new if earlier is None else _following(draft, account, request.label, earlier, new)
            )
            draft.put(key, record)
            await put_warm(draft, account, request.label, request.warm)
            return record

        record = await self._commits.run(plan)
        self._warm_changed.set()
        return endpoint_info(account, request.label, record)

    async def remove(self, account: str, label: str, request_id: str | None = None) -> None:
        """Remove an endpoint; the jobs of its calls stay. A repeated request changes nothing.

        Raises:
            EndpointNotFound: When the account has no such endpoint; all methods below raise it,
                too.
        """
        key = endpoint_key(account, label)

        async def plan(draft: Draft) -> None:
            if await is_repeated(draft, account, request_id):
                return
            record = await existing(self._commits.view, account, await draft.fresh(key), label)
            draft.delete(key)
            for version in record.others:
                draft.delete(version_key(account, label, version))
            if await draft.fresh(rate := rate_key(account, label)) is not None:
                draft.delete(rate)
            await put_warm(draft, account, label, 0)

        await self._commits.run(plan)
        self._warm_changed.set()

    async def rollback(self, account: str, label: str, version: int) -> EndpointInfo:
        """Make another version of an endpoint the current one; the others are kept.

        Who may call the endpoint does not change.
        """
        key, other = endpoint_key(account, label), version_key(account, label, version)

        async def plan(draft: Draft) -> EndpointRecord:
            current = await existing(self._commits.view, account, await draft.fresh(key), label)
            if current.version == version:
                return current
            if version not in current.others:
                raise _no_version(current, label, version)
            kept: OldEndpointRecord = await draft.fresh(other)
            others = sorted({*current.others, current.version} - {version})
            changed = {"others": tuple(others), "access": current.access}
            record = EndpointRecord(**{**asdict(kept), **changed})
            draft.delete(other)
            draft.put(version_key(account, label, current.version), _old(current))
            draft.put(key, record)
            return record

        return endpoint_info(account, label, await self._commits.run(plan))

    async def info(self, account: str, label: str, version: int = 0) -> EndpointInfo:
        """Return what is known of a version of an endpoint; 0 is the current one."""
        found = await self._named(account, label, version)
        return endpoint_info(account, label, found.record)

    async def invoke(
        self,
        account: str,
        request: InvokeRequest,
        texts: Texts | None = None,
        *,
        found: FoundEndpoint | None = None,
        is_limited: bool = False,
    ) -> Invoked:
        """Submit the jobs of calls.

        Args:
            account: The account of the endpoint.
            request: The calls; without a submit id it is one call, and is not repeated.
            texts: More arguments of each, which arrived as text or files.
            found: The endpoint, if it has been read before.
            is_limited: Whether the rate limit of the endpoint applies.

        Raises:
            ArgumentRefused: When arguments are missing, unknown or of another type.
            TooLarge: When they are larger than a request may have.
            SubmitChanged: When other calls had the same submit id.
            AccountBusy: When the account would have too many unfinished jobs.
            TooManyCalls: When the endpoint was called as often as its rate limit allows.
        """
        found = found or await self._named(account, request.label, request.version)
        if is_limited:
            await self._rates.take(account, request.label, found.access.calls_per_minute)
        record = found.record
        common = read_texts(record.parameters, texts or {})
        calls = [
            read_arguments(record.parameters, {**common, **given}, takes_any=record.takes_any)
            for given in request.calls
        ]
        first = await self._calls.submit(account, request, found, calls)
        return Invoked(first=first, count=len(calls), version=record.version)

    async def call(
        self, account: str, request: InvokeRequest, texts: Texts, found: FoundEndpoint
    ) -> tuple[FoundEndpoint, Invoked]:
        """Submit the job of a call, which counts for the rate limit; return also what it called.

        If the endpoint was only known from memory and has changed, it is read, and called as it is.

        Raises:
            Unavailable: When it has become an application, which takes requests as they are.
        """
        invoke = partial(self.invoke, account, request, texts, is_limited=True)
        try:
            return found, await invoke(found=found)
        except EndpointChanged:
            current = await self.find(account, request.label)
        except PiCloudError as error:
            if not found.is_remembered or isinstance(error, Unavailable):
                raise
            current = await self.find(account, request.label)
            if current.record is found.record:
                raise
        if current.is_app:
            raise Unavailable("An application was published in place of the function; try again.")
        return current, await invoke(found=current)

    async def result(
        self,
        account: str,
        label: str,
        call: Call,
        hold: Callable[[int], Awaitable[Held]],
        wait_s: float,
        *,
        found: FoundEndpoint | None = None,
    ) -> CallResult | LargeCallResult | None:
        """Return the result of a call; None if its job has not ended in time.

        With `found`, the version that was called is not read again.

        Raises:
            InvokedJobFailed: When the job failed, or its result cannot be encoded as the function
                was published.
        """
        record = (found or await self.find(account, label, call.version)).record
        with self._calls.waits(account, label), suppress(Unavailable):
            return await self._results.result(account, call.jid, record, hold, wait_s)
        return None

    async def response(
        self,
        account: str,
        label: str,
        jid: int,
        hold: Callable[[int], Awaitable[Held]],
        wait_s: float,
    ) -> AppResponse | None:
        """Return the response of an application; None if its job has not ended in time.

        Raises:
            InvokedJobFailed: When the job failed, or its result is not a response.
        """
        with self._calls.waits(account, label), suppress(Unavailable):
            return await self._results.response(account, jid, hold, wait_s)
        return None

    async def list(self, account: str) -> EndpointsListed:
        """Return the endpoints of an account."""
        prefix = endpoint_key(account)
        records = await self._commits.view.scan(prefix)
        labels = sorted(key.removeprefix(prefix) for key in records)
        return EndpointsListed(
            endpoints=[endpoint_info(account, label, records[prefix + label]) for label in labels]
        )

    def remembered(self, account: str, label: str) -> FoundEndpoint | None:
        """Return a function without a rate limit as it is in memory, which may be old, if it is."""
        view = self._commits.view
        record: EndpointRecord | None = view.peek(endpoint_key(account, label))
        if record is None or not view.state.shared or record.access.calls_per_minute:
            return None
        found = FoundEndpoint(record.access, record, is_remembered=True)
        return None if found.is_app else found

    async def find(self, account: str, label: str, version: int = 0) -> FoundEndpoint:
        """Return who may call an endpoint, and a version of it; 0 is the current one.

        The error if there is none names no other label, because strangers may read it.
        """
        record: EndpointRecord | None = await self._commits.view.fresh(endpoint_key(account, label))
        if record is None:
            raise not_published(label)
        return await self._found(account, label, record, version)

    async def _named(self, account: str, label: str, version: int) -> FoundEndpoint:
        """Return what `find` returns, to the account itself."""
        view = self._commits.view
        record = await view.fresh(endpoint_key(account, label))
        current = await existing(view, account, record, label)
        return await self._found(account, label, current, version)

    async def _found(
        self, account: str, label: str, current: EndpointRecord, version: int
    ) -> FoundEndpoint:
        view = self._commits.view
        if version in {0, current.version}:
            return FoundEndpoint(current.access, current)
        kept: OldEndpointRecord | None = None
        if version in current.others:
            kept = await view.fresh(version_key(account, label, version))
        if kept is None:
            raise _no_version(current, label, version)
        return FoundEndpoint(current.access, kept)


def endpoint_info(account: str, label: str, record: EndpointRecord) -> EndpointInfo:
    """Return what is known of an endpoint, as it is sent."""
    return EndpointInfo(
        label=label,
        path=f"/r/{account}/{label}",
        function_name=record.job.function_name,
        # Those of an application are the parts of a request.
        parameters=[] if record.out_encoding == APPLICATION else record.parameters,
        takes_any=record.takes_any,
        out_encoding=record.out_encoding,
        content_type=record.content_type,
        published_at=record.published_at,
        version=record.version,
        versions=sorted([record.version, *record.others]),
        public=record.access.public,
        calls_per_minute=record.access.calls_per_minute,
        origins=[*record.access.origins],
        warm=record.access.warm,
    )


def _following(
    draft: Draft, account: str, label: str, earlier: EndpointRecord, new: EndpointRecord
) -> EndpointRecord:
    """Return the version after an earlier one, which is kept; the oldest is dropped if too many."""
    versions = sorted([earlier.version, *earlier.others])
    draft.put(version_key(account, label, earlier.version), _old(earlier))
    latest = versions[-1]
    while len(versions) >= MAX_VERSIONS:
        draft.delete(version_key(account, label, versions.pop(0)))
    access = replace(new.access, keys=earlier.access.keys)
    return replace(new, version=latest + 1, others=tuple(versions), access=access)


def _old(record: EndpointRecord) -> OldEndpointRecord:
    return OldEndpointRecord(**{**asdict(record), "others": (), "access": EndpointAccess()})


def _no_version(record: EndpointRecord, label: str, version: int) -> EndpointNotFound:
    kept = ", ".join(map(str, sorted([record.version, *record.others])))
    message = f"{label!r:.80} has no version {version}: those that are kept are {kept}."
    return EndpointNotFound(message, field="version")


def call_id(account: str, label: str, key: str) -> str:
    """Return the submit id of a call that has an idempotency key.

    >>> call_id("a", "b", "c") == call_id("a", "b", "c") != call_id("a", "b", "d")
    True
    """
    text = f"{account}/{label}/{key}"
    return blake2b(text.encode("utf-8", "replace"), digest_size=16).hexdigest()
