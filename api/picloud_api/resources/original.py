"""`/job/`, `/job/result/`: the HTTP interface of the original PiCloud.

Programs in R, MATLAB, C++ and on App Engine used it. They authenticate by HTTP Basic and read JSON.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
from picloud_model import wire
from picloud_model.errors import RequestRefused, TooLarge
from picloud_model.info import ALL, GROUPS, UNPICKLED, InfoKey, members, read_keys
from picloud_model.pack import unseal
from picloud_model.plain_value import NotPlain, plain_value
from picloud_model.ranges import collapse

from picloud_api.resources.body import (
    authenticate_basic,
    hold_bytes,
    reauthenticate,
)
from picloud_api.resources.route import Credential, Route

if TYPE_CHECKING:
    from collections.abc import Sequence

    from falcon.asgi import Request, Response

    from picloud_api.usecases.use_cases import UseCases

Query = TypeVar("Query", bound=wire.Request)

_DEFAULT_FIELDS: Final = ("status", "stdout", "stderr", "runtime", "exception")
"""The fields that the original returned when none was named."""
_LISTS: Final = ("jids", "field")
"""Parameters that may be repeated."""


class OriginalResource:
    """Jobs of the account whose key a request sends."""

    def __init__(self, use_cases: UseCases) -> None:
        self._accounts = use_cases.accounts.accounts
        self._jobs = use_cases.jobs

    async def on_get_job(self, request: Request, response: Response) -> None:
        """Return what is known of jobs."""
        account = await authenticate_basic(request, response, self._accounts.holder)
        query = _query(request, wire.OriginalInfoQuery)
        names = query.field or _DEFAULT_FIELDS
        jids = collapse(query.jids)
        info = wire.InfoRequest(jids=jids, keys=[key.value for key in _keys(names)])
        jobs = (await self._jobs.info.info(account, info)).jobs
        if len(jobs) < len(set(query.jids)):
            message = "The answer is too large for one request: name fewer jobs or fewer fields."
            raise TooLarge(message, field="jids")
        fields = await asyncio.to_thread(
            lambda: {str(job.jid): _fields(job, names) for job in jobs}
        )
        await _write(request, response, wire.OriginalInfos(info=fields))

    async def on_get_result(self, request: Request, response: Response) -> None:
        """Return the result of a job that is done; a job that has not ended is not waited for."""
        account = await authenticate_basic(request, response, self._accounts.holder)
        jid = _query(request, wire.OriginalResultQuery).jid
        result = await self._jobs.plain_result.read(account, jid, partial(hold_bytes, request))
        await _write(request, response, wire.OriginalResult(result=msgspec.Raw(result)))


def _query(request: Request, kind: type[Query]) -> Query:
    """Return the parameters of a request; those that the operation does not have are ignored."""
    values: dict[str, Any] = {}
    for name in kind.__struct_fields__:
        texts = request.get_param_as_list(name)
        if texts is not None and name in _LISTS:
            values[name] = [part for text in texts for part in text.split(",")]
        elif texts is not None:
            values[name] = texts[0] if len(texts) == 1 else texts
    return msgspec.convert(values, kind, strict=False)


def _keys(names: Sequence[str]) -> list[InfoKey]:
    """Return the keys that some fields stand for; "all" leaves out those that are pickled."""
    try:
        keys = read_keys(names)
    except RequestRefused as error:
        raise RequestRefused(error.message, field="field") from None
    if ALL in names:
        return [key for key in keys if key not in UNPICKLED]
    if InfoKey.FUNC_BODY in keys:
        message = "func_body is a Python object; read it with cloud.info(JID, 'func_body')."
        raise RequestRefused(message, field="field")
    return list(keys)


def _fields(job: wire.JobInfo, names: Sequence[str]) -> dict[str, Any]:
    """Return the fields of a job in the form of `cloud.info`: a group is a dict."""
    if ALL in names:
        return job.values
    values = dict(job.values)
    if job.arguments is not None:
        values |= zip(("args", "kwargs"), _arguments(job.jid, job.arguments), strict=True)
    return {
        name: {key.partition(".")[2]: values.get(key) for key in members(name)}
        if name in GROUPS
        else values.get(name)
        for name in names
    }


def _arguments(jid: int, arguments: wire.Arguments) -> tuple[Any, Any]:
    predicate = "are too large"
    if arguments.parcel is not None:
        try:
            args, kwargs = plain_value(bytes(unseal(arguments.parcel)))
        except (NotPlain, TypeError, ValueError):
            predicate = "are Python objects"
        else:
            return args, kwargs
    message = f"The arguments of job {jid} {predicate}; read them with cloud.info({jid}, 'args')."
    raise RequestRefused(message, field="field")


async def _write(request: Request, response: Response, body: wire.OriginalAnswer) -> None:
    await reauthenticate(request)
    response.content_type = wire.JSON
    try:
        response.data = wire.encode(body, wire.JSON)
    except (TypeError, ValueError):
        message = "A field has a number or a text that JSON cannot hold; read it with cloud.info."
        raise RequestRefused(message, field="field") from None


def _get(address: str, query: type, answer: type) -> Route:
    return Route(
        verb="GET",
        address=address,
        resource=OriginalResource,
        query=query,
        answer=answer,
        credential=Credential.BASIC,
    )


ROUTES: Final = (
    _get("/job", wire.OriginalInfoQuery, wire.OriginalInfos),
    _get("/job/result", wire.OriginalResultQuery, wire.OriginalResult),
)
