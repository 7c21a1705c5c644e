"""`/r/ACCOUNT/LABEL`: calls of published functions, by programs in any language."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import falcon
from picloud_model import wire
from picloud_model.errors import EndpointNotFound, InvokedJobFailed, JobNotFound, PathNotFound
from picloud_model.wire.body import is_short_label
from picloud_model.wire.rest import InvokeRequest, OriginalEndpoint

from picloud_api import errors
from picloud_api.resources.application import is_key, read_request, write_response
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
from picloud_api.resources.endpoint_result import write_result
from picloud_api.resources.hang_up import (
    HungUpError,
    Waited,
    preferred_wait,
    prefers_kill,
    unless_hung_up,
)
from picloud_api.usecases.rest.call_address import Call
from picloud_api.usecases.rest.found_endpoint import not_published
from picloud_api.usecases.rest.rest import call_id, endpoint_info

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from falcon.asgi import Request, Response

    from picloud_api.usecases.rest.application import AppResponse
    from picloud_api.usecases.rest.call_result import CallResult, LargeCallResult
    from picloud_api.usecases.rest.found_endpoint import FoundEndpoint
    from picloud_api.usecases.use_cases import UseCases

_VERSION: Final = re.compile(r"\d{1,9}")
_ACCOUNT: Final = re.compile(r"a[0-9a-f]{7}")
_OWN_KEY: Final = re.compile(r"r[0-9a-f]{12}")
"""The id of a key of an endpoint; those of accounts do not begin with this letter."""
_SAFE: Final = ("GET", "HEAD", "OPTIONS")
"""Methods that change nothing."""
VERBS: Final = ("GET", "POST")
"""Methods of a function."""
_TOO_LONG: Final = (
    "The application has not answered within 30 s, so its job {jid} was killed: do what takes "
    "longer in a job of its own (cloud.call)."
)
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
        self._kill = use_cases.jobs.kill.kill

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
            if await self._is_guest(request, account, label):
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

    async def _is_guest(self, request: Request, account: str, label: str) -> bool:
        """Whether a request has no credential of this server, and needs none.

        A public application may check users itself; it gets their credentials.

        Raises:
            KeyRefused: When it needs one.
        """
        credential = request.get_header("Authorization")
        if credential is None:
            if not await self._keys.is_public(account, label):
                basic_pair(request)
            return True
        return not is_key(credential) and await self._keys.is_public_app(account, label)

    async def _check(self, account: str, label: str, name: str, secret: str) -> str:
        await self._keys.check(account, label, name, secret)
        return f"{account} guests"

    async def on_get_one(
        self,
        request: Request,
        response: Response,
        account: str,
        label: str,
        *,
        version: str = "",
        path: str = "",
    ) -> None:
        """Describe a published function, or pass the request on to an application."""
        caller = await self._admit(request, response, account, label)
        endpoint = await self._pass_on(request, response, caller, version, path)
        if endpoint is None:
            return
        described = OriginalEndpoint(
            label=label,
            published_version=endpoint.record.version,
            # The name of a command is its text, which may hold secrets.
            function=label if caller.guest else endpoint.record.job.function_name,
            parameters=endpoint.record.parameters,
            takes_any=endpoint.record.takes_any,
        )
        await reauthenticate(request)
        response.content_type = wire.JSON
        response.data = wire.encode(described, wire.JSON)

    async def on_post_one(
        self,
        request: Request,
        response: Response,
        account: str,
        label: str,
        *,
        version: str = "",
        path: str = "",
    ) -> None:
        """Call a published function; wait for its result if the request prefers that."""
        caller = await self._admit(request, response, account, label)
        key = request.get_header("Idempotency-Key")
        endpoint: FoundEndpoint | None = None
        if not (caller.guest or version or path or key):
            endpoint = self._endpoints.remembered(account, label)
        if endpoint is None:
            endpoint = await self._pass_on(request, response, caller, version, path)
        if endpoint is None:
            return
        check_credential_is_meant(request)
        texts, arguments = await read_call(request)
        if key and caller.guest:
            key = f"{caller.guest}/{key}"  # one guest must not find the job of another by its key
        body = InvokeRequest(
            label=label,
            submit_id=call_id(account, label, key) if key else "",
            version=_version(version),
            calls=[arguments],
        )
        endpoint, invoked = await self._endpoints.call(account, body, texts, endpoint)
        call = Call(invoked.first, invoked.version)
        response.set_header("Location", self._endpoints.addresses.of(account, label, call))
        await self._reply(request, response, caller, call, endpoint)

    async def on_put_one(
        self,
        request: Request,
        response: Response,
        account: str,
        label: str,
        version: str = "",
        **below: str,
    ) -> None:
        """Pass a request on to an application; a function has no such method."""
        caller = await self._admit(request, response, account, label)
        if await self._pass_on(request, response, caller, version):
            verbs = (*_verbs(request), "OPTIONS")
            raise PathNotFound if "path" in below else falcon.HTTPMethodNotAllowed(verbs)

    on_delete_one = on_head_one = on_patch_one = on_put_one

    async def _pass_on(
        self, request: Request, response: Response, caller: _Caller, version: str, path: str = ""
    ) -> FoundEndpoint | None:
        """Pass a request on to an application, if the endpoint is one.

        Returns:
            The endpoint of a function; None if the request was answered.

        Raises:
            PathNotFound: When it is a function and has a path, as only applications do.
        """
        account, label = caller.account, caller.label
        endpoint = await self._endpoints.find(account, label, _version(version))
        if not endpoint.is_app:
            if path:
                raise PathNotFound
            return endpoint
        is_guest = caller.guest == _ANYBODY
        if not is_guest and request.method not in _SAFE:
            check_credential_is_meant(request)
        root = f"/r/{account}/{label}" + (f"/v/{version}" if version else "")
        fields = (await read_request(request, root, is_guest=is_guest)).arguments()
        body = InvokeRequest(label=label, submit_id="", calls=[fields])
        jid = (await self._endpoints.invoke(account, body, found=endpoint, is_limited=True)).first
        answer = await self._response(request, caller, jid)
        await reauthenticate(request)
        if answer is not None:
            write_response(response, root, answer, is_head=request.method == "HEAD")
            return None
        await self._kill(account, [(jid, jid)])
        errors.answer(request, response, InvokedJobFailed(_TOO_LONG.format(jid=jid)))
        response.status = 504
        return None

    async def _response(self, request: Request, caller: _Caller, jid: int) -> AppResponse | None:
        hold = partial(hold_bytes, request)
        waited = self._endpoints.response(
            caller.account, caller.label, jid, hold, wire.LONGEST_POLL_S
        )
        try:
            return await self._waited(request, caller, jid, waited)
        except InvokedJobFailed as error:
            raise _shown(error, caller, jid) from None

    async def on_options_one(
        self, request: Request, response: Response, account: str, label: str, **below: str
    ) -> None:
        """Answer a browser that asks whether a script of a page may send a request here.

        A public application answers itself.
        """
        if _may_exist(account, label) and await self._keys.is_public_app(account, label):
            await self.on_put_one(request, response, account, label, **below)
            return
        verbs = _verbs(request)
        response.set_header("Allow", ", ".join((*verbs, "OPTIONS")))
        if not _may_exist(account, label):
            return
        origin = request.get_header("Origin")
        origins = await self._keys.origins(account, label) if origin else ()
        if origin and allow_origin(response, origin, origins):
            allow_requests(response, verbs)

    on_get_v, on_post_v, on_options_v = on_get_one, on_post_one, on_options_one
    on_delete_v = on_head_v = on_patch_v = on_put_v = on_put_one

    async def on_get_openapi(
        self, request: Request, response: Response, account: str, label: str
    ) -> None:
        """Return the OpenAPI document of a published function."""
        caller = await self._admit(request, response, account, label)
        endpoint = await self._pass_on(request, response, caller, "")
        if endpoint is None:
            return
        info = endpoint_info(account, label, endpoint.record)
        await reauthenticate(request)
        response.content_type = wire.JSON
        response.data = wire.encode(endpoint_document(info), wire.JSON)

    async def on_get_jobs(
        self, request: Request, response: Response, account: str, label: str, call: str
    ) -> None:
        """Return the result of a call, if its job has ended."""
        caller = await self._admit(request, response, account, label)
        try:
            found = self._endpoints.addresses.read(account, label, call)
        except JobNotFound:
            # An application may have such addresses.
            if await self._pass_on(request, response, caller, "") is None:
                return
            raise
        await self._reply(request, response, caller, found)

    on_options_jobs = on_options_openapi = on_options_one
    on_delete_jobs = on_head_jobs = on_patch_jobs = on_post_jobs = on_put_jobs = on_put_one
    on_delete_openapi = on_head_openapi = on_patch_openapi = on_put_one
    on_post_openapi = on_put_openapi = on_put_one

    async def _reply(
        self,
        request: Request,
        response: Response,
        caller: _Caller,
        call: Call,
        found: FoundEndpoint | None = None,
    ) -> None:
        """Reply with the result of a job, or with its jid if it has not ended in time.

        Only the account receives the reason why a job failed: it may hold what others must not see.
        """
        hold = partial(hold_bytes, request)
        wait_s = preferred_wait(request.get_header("Prefer") or "")
        waits = wait_s or request.method == "GET"
        result: CallResult | LargeCallResult | None = None
        if waits:
            endpoint = caller.account, caller.label
            waited = self._endpoints.result(*endpoint, call, hold, wait_s, found=found)
            try:
                result = await self._waited(request, caller, call.jid, waited)
            except InvokedJobFailed as error:
                raise _shown(error, caller, call.jid) from None
        await reauthenticate(request)
        write_result(response, call.jid, result)

    async def _waited(
        self,
        request: Request,
        caller: _Caller,
        jid: int,
        waited: Coroutine[Any, Any, Waited | None],
    ) -> Waited | None:
        """Return what is waited for; None, too, if the client hangs up.

        Its job is killed then if the request prefers that.
        """
        if not prefers_kill(request.get_header("Prefer") or ""):
            return await waited
        try:
            return await unless_hung_up(request, waited)
        except HungUpError:
            await self._kill(caller.account, [(jid, jid)])
            return None


def _may_exist(account: str, label: str) -> bool:
    return is_short_label(label) and _ACCOUNT.fullmatch(account) is not None


def _verbs(request: Request) -> tuple[str, ...]:
    """Return the methods that a function has at the address of a request."""
    is_read = (request.uri_template or "").endswith(("/jobs/{call}", "/openapi"))
    return VERBS[:1] if is_read else VERBS


def _shown(error: InvokedJobFailed, caller: _Caller, jid: int) -> InvokedJobFailed:
    """Return an error as its receiver may see it: the reason may hold what is the owner's."""
    if not caller.guest:
        return error
    return InvokedJobFailed(f"Job {jid} has no result; the owner of this function can see why.")


def _version(text: str) -> int:
    if not text:
        return 0
    if not _VERSION.fullmatch(text):
        raise EndpointNotFound(f"{text!r:.80} is not a valid version.", field="version")
    return int(text)
