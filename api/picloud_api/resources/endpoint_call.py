"""`/r/ACCOUNT/LABEL`: calls of published functions, by programs in any language."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import uuid4

import msgspec
from picloud_model import wire
from picloud_model.errors import EndpointNotFound, InvokedJobFailed
from picloud_model.wire.body import is_short_label
from picloud_model.wire.rest import InvokeRequest, OriginalCall, OriginalEndpoint

from picloud_api.resources.body import (
    authenticate,
    authenticate_basic,
    basic_challenge,
    basic_pair,
    begin_request,
    hold_bytes,
    reauthenticate,
    set_account,
)
from picloud_api.resources.cross_origin import (
    allow_origin,
    allow_requests,
    check_credential_is_meant,
)
from picloud_api.resources.endpoint_arguments import read_call
from picloud_api.resources.endpoint_document import endpoint_document
from picloud_api.resources.route import Credential, Route
from picloud_api.usecases.rest.call_address import Call
from picloud_api.usecases.rest.call_result import CallResult
from picloud_api.usecases.rest.rest import call_id, not_published

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from picloud_api.usecases.rest.call_result import LargeCallResult
    from picloud_api.usecases.use_cases import UseCases

_WAIT: Final = re.compile(r"(?:^|[,;\s])wait=(\d{1,9})(?:$|[,;\s])", re.IGNORECASE)
_VERSION: Final = re.compile(r"\d{1,9}")
_ACCOUNT: Final = re.compile(r"a[0-9a-f]{7}")
_OWN_KEY: Final = re.compile(r"r[0-9a-f]{12}")
"""The id of a key of an endpoint; those of accounts do not begin with this letter."""


_ANYBODY: Final = "anybody"
"""The sender of a request without a credential."""


class _Caller(NamedTuple):
    """The endpoint that a request may call, and the sender: "" for the account of the endpoint."""

    account: str
    label: str
    guest: str


class EndpointCallResource:
    """Published functions: for keys of their accounts, keys of their own, or everybody."""

    def __init__(self, use_cases: UseCases) -> None:
        self._accounts = use_cases.accounts.accounts
        self._endpoints = use_cases.rest.endpoints
        self._keys = use_cases.rest.keys

    async def _admit(
        self, request: Request, response: Response, account: str, label: str
    ) -> _Caller:
        """Check that the sender of a request may call an endpoint.

        Raises:
            KeyRefused: When it sends no credential that is valid, and the endpoint is not public;
                whether there is such an endpoint is not revealed.
            EndpointNotFound: When it sends a key of another account, or there is none.
        """
        if not _may_exist(account, label):
            await authenticate_basic(request, response, self._accounts.holder)
            raise not_published(label)
        if origin := request.get_header("Origin"):
            allow_origin(response, origin, await self._keys.origins(account, label))
        with basic_challenge(response):
            if request.get_header("Authorization") is None:
                if not await self._keys.is_public(account, label):
                    basic_pair(request)
                begin_request(request, f"{account} guests")
                return _Caller(account, label, _ANYBODY)
            name, secret = basic_pair(request)
            if _OWN_KEY.fullmatch(name):
                check = partial(self._check, account, label, name)
                await authenticate(request, check, read=lambda _: secret)
                set_account(request, account)
                return _Caller(account, label, name)
        sender = await authenticate_basic(request, response, self._accounts.holder)
        if account != sender and not await self._keys.is_public(account, label):
            raise not_published(label)
        return _Caller(account, label, "" if account == sender else sender)

    async def _check(self, account: str, label: str, name: str, secret: str) -> str:
        await self._keys.check(account, label, name, secret)
        return f"{account} guests"

    async def on_get_one(
        self, request: Request, response: Response, account: str, label: str, version: str = "0"
    ) -> None:
        """Describe a published function."""
        caller = await self._admit(request, response, account, label)
        info = await self._endpoints.info(account, label, _version(version))
        described = OriginalEndpoint(
            label=label,
            published_version=info.version,
            # The name of a command is its text, which may hold secrets.
            function=label if caller.guest else info.function_name,
            parameters=info.parameters,
            takes_any=info.takes_any,
        )
        await reauthenticate(request)
        response.content_type = wire.JSON
        response.data = wire.encode(described, wire.JSON)

    async def on_post_one(
        self, request: Request, response: Response, account: str, label: str, version: str = "0"
    ) -> None:
        """Call a published function; wait for its result if the request prefers that."""
        caller = await self._admit(request, response, account, label)
        check_credential_is_meant(request)
        texts, arguments = await read_call(request)
        key = request.get_header("Idempotency-Key") or uuid4().hex
        body = InvokeRequest(
            label=label,
            # One guest must not find the job of another by its idempotency key.
            submit_id=call_id(account, label, f"{caller.guest}/{key}" if caller.guest else key),
            version=_version(version),
            calls=[arguments],
        )
        invoked = await self._endpoints.invoke(account, body, texts, is_limited=True)
        call = Call(invoked.first, invoked.version)
        response.set_header("Location", self._endpoints.addresses.of(account, label, call))
        await self._reply(request, response, caller, call)

    async def on_options_one(
        self, request: Request, response: Response, account: str, label: str, version: str = "0"
    ) -> None:
        """Answer a browser that asks whether a script of a page may call a published function."""
        del version
        await self._preflight(request, response, (account, label), ("GET", "POST"))

    async def on_options_v(
        self, request: Request, response: Response, account: str, label: str, version: str
    ) -> None:
        """Answer a browser that asks the same about a version of it."""
        await self.on_options_one(request, response, account, label, version)

    async def on_options_jobs(
        self, request: Request, response: Response, account: str, label: str, call: str
    ) -> None:
        """Answer a browser that asks whether a script of a page may read a result."""
        del call
        await self._preflight(request, response, (account, label), ("GET",))

    async def _preflight(
        self,
        request: Request,
        response: Response,
        endpoint: tuple[str, str],
        verbs: tuple[str, ...],
    ) -> None:
        response.set_header("Allow", ", ".join((*verbs, "OPTIONS")))
        if not _may_exist(*endpoint):
            return
        origin = request.get_header("Origin")
        if origin and allow_origin(response, origin, await self._keys.origins(*endpoint)):
            allow_requests(response, verbs)

    async def on_get_v(
        self, request: Request, response: Response, account: str, label: str, version: str
    ) -> None:
        """Describe a version of a published function."""
        await self.on_get_one(request, response, account, label, version)

    async def on_post_v(
        self, request: Request, response: Response, account: str, label: str, version: str
    ) -> None:
        """Call a version of a published function."""
        await self.on_post_one(request, response, account, label, version)

    async def on_get_openapi(
        self, request: Request, response: Response, account: str, label: str
    ) -> None:
        """Return the OpenAPI document of a published function."""
        await self._admit(request, response, account, label)
        info = await self._endpoints.info(account, label)
        await reauthenticate(request)
        response.content_type = wire.JSON
        response.data = wire.encode(endpoint_document(info), wire.JSON)

    async def on_get_jobs(
        self, request: Request, response: Response, account: str, label: str, call: str
    ) -> None:
        """Return the result of a call, if its job has ended."""
        caller = await self._admit(request, response, account, label)
        found = self._endpoints.addresses.read(account, label, call)
        await self._reply(request, response, caller, found)

    async def _reply(
        self, request: Request, response: Response, caller: _Caller, call: Call
    ) -> None:
        """Reply with the result of a job, or with its jid if it has not ended in time.

        Only the account receives the reason why a job failed: it may hold what others must not see.
        """
        hold = partial(hold_bytes, request)
        wait_s = preferred_wait(request.get_header("Prefer") or "")
        waits = wait_s or request.method == "GET"
        result = None
        if waits:
            endpoint = caller.account, caller.label
            try:
                result = await self._endpoints.result(*endpoint, call, hold, wait_s)
            except InvokedJobFailed:
                if not caller.guest:
                    raise
                message = f"Job {call.jid} has no result; the owner of this function can see why."
                raise InvokedJobFailed(message) from None
        await reauthenticate(request)
        _write(response, call.jid, result)


def preferred_wait(header: str) -> float:
    """Return how long a request prefers to wait for the result (RFC 7240), in seconds.

    >>> preferred_wait("respond-async, wait=5"), preferred_wait("wait=999"), preferred_wait("")
    (5.0, 30.0, 0.0)
    """
    matched = _WAIT.search(header)
    return min(float(matched[1]), wire.LONGEST_POLL_S) if matched else 0.0


def _may_exist(account: str, label: str) -> bool:
    return is_short_label(label) and _ACCOUNT.fullmatch(account) is not None


def _version(text: str) -> int:
    if not _VERSION.fullmatch(text):
        raise EndpointNotFound(f"{text!r:.80} is not a valid version.", field="version")
    return int(text)


def _write(response: Response, jid: int, result: CallResult | LargeCallResult | None) -> None:
    if result is None or (isinstance(result, CallResult) and result.is_value):
        answer = OriginalCall(jid=jid)
        if result is None:
            response.status = 202
        else:
            answer = OriginalCall(jid=jid, result=msgspec.Raw(result.data))
        response.content_type = wire.JSON
        response.data = wire.encode(answer, wire.JSON)
        return
    response.content_type = result.content_type
    # What an endpoint returns must not become a page of this server's own.
    response.set_header("Content-Security-Policy", "sandbox")
    response.set_header("X-Content-Type-Options", "nosniff")
    if isinstance(result, CallResult):
        response.data = result.data
    elif result.size is None:
        response.stream = result.pieces
    else:
        response.set_stream(result.pieces, result.size)


def _preflight(address: str) -> Route:
    return Route(
        verb="OPTIONS",
        address=address,
        resource=EndpointCallResource,
        credential=Credential.NONE,
        summary="Return what scripts of a web page of another origin may send to this address.",
    )


def _route(verb: str, address: str, answer: type | None, summary: str, *, pending: bool) -> Route:
    return Route(
        verb=verb,
        address=address,
        resource=EndpointCallResource,
        answer=answer,
        credential=Credential.BASIC,
        may_be_pending=pending,
        summary=summary,
    )


ROUTES: Final = (
    _route(
        "GET",
        "/r/{account}/{label}",
        OriginalEndpoint,
        "Describe a published function: its parameters.",
        pending=False,
    ),
    _route(
        "POST",
        "/r/{account}/{label}",
        OriginalCall,
        "Call a published function; a public one needs no key. The arguments are parameters of "
        "the address, a form, also with files, or an object of JSON. The answer has the jid of the "
        "job; with `Prefer: wait=SECONDS` it has the result, too, if the job ends by then.",
        pending=True,
    ),
    _route(
        "GET",
        "/r/{account}/{label}/v/{version}",
        OriginalEndpoint,
        "Describe a version of a published function: its parameters.",
        pending=False,
    ),
    _route(
        "POST",
        "/r/{account}/{label}/v/{version}",
        OriginalCall,
        "Call a version of a published function, as its current version is called.",
        pending=True,
    ),
    _route(
        "GET",
        "/r/{account}/{label}/jobs/{call}",
        OriginalCall,
        "Return the result of a call, whose response named this address as its Location.",
        pending=True,
    ),
    _route(
        "GET",
        "/r/{account}/{label}/openapi",
        None,
        "Return the OpenAPI document of a published function: its parameters and what it returns.",
        pending=False,
    ),
    _preflight("/r/{account}/{label}"),
    _preflight("/r/{account}/{label}/v/{version}"),
    _preflight("/r/{account}/{label}/jobs/{call}"),
)
