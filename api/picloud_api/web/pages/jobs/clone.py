"""`/jobs/.../clone`: runs the function of a job again, with other options."""

from __future__ import annotations

from functools import partial
from hashlib import blake2b, sha256
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import msgspec
from picloud_model import pack, wire
from picloud_model.core import CORE_TYPES
from picloud_model.errors import NotFound
from picloud_model.info import InfoKey
from picloud_model.ranges import MAX_JID

from picloud_api.resources.body import hold_bytes
from picloud_api.web.rendering import go_to
from picloud_api.web.visitor import text_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from falcon.asgi import App, Request, Response
    from picloud_model.wire import JobInfo

    from picloud_api.usecases.use_cases import UseCases
    from picloud_api.web.rendering import Renderer
    from picloud_api.web.visitor import Visitors

ARGUMENT_BYTES: Final = 32 * 1024 * 1024
"""The largest arguments of a job that is cloned: the server has them in memory for a moment."""
_KEYS: Final = [key.value for key in (InfoKey.ATTRIBUTES, InfoKey.ARGS, InfoKey.FUNC_BODY)]
_NAMES: Final = ("label", "core_type", "cores", "priority", "env", "max_runtime_s")
_OWN: Final = frozenset(("kind", "function", "traceparent"))
"""What a job has among its attributes that is not an option of its clone."""


class ClonePage:
    """A form with the options of a job, which makes another one of its function and arguments."""

    def __init__(self, use_cases: UseCases, renderer: Renderer, visitors: Visitors) -> None:
        self._jobs = use_cases.jobs
        self._blobs = use_cases.storage.blobs
        self._renderer = renderer
        self._visitors = visitors

    async def on_get(self, request: Request, response: Response, jid: int) -> None:
        """Show the options that the job has."""
        visitor = await self._visitors.of(request)
        (job, _) = await self._read(visitor.account, jid)
        self._renderer.show(
            response,
            "clone.html",
            visitor,
            jid=jid,
            options=job.values[InfoKey.ATTRIBUTES],
            core_types=list(CORE_TYPES),
            new_id=uuid4().hex,
        )

    async def on_post(self, request: Request, response: Response, jid: int) -> None:
        """Make a job of the same function and arguments; a form that is sent twice makes one."""
        visitor = await self._visitors.of(request)
        fields = await self._visitors.form(request, visitor)
        job, envelope = await self._read(visitor.account, jid)
        options = _options(job.values[InfoKey.ATTRIBUTES], fields)
        content = await self._arguments(visitor.account, job, partial(hold_bytes, request))
        values = {
            "submit_id": text_of(fields, "submit_id"),
            "kind": "call",
            "count": 1,
            "envelope": msgspec.to_builtins(envelope),
            "function": job.function,
            "function_name": job.values[InfoKey.ATTRIBUTES]["function"],
            "bundle": job.bundle,
            "options": options,
            "parts": [wire.PackPart(0, 1, content)],
        }
        wanted = msgspec.convert(values, wire.SubmitRequest, from_attributes=True)
        fingerprint = blake2b(msgspec.msgpack.encode(wanted), digest_size=16).digest()
        submitted = await self._jobs.submit.submit(visitor.account, wanted, fingerprint)
        go_to(response, f"/jobs/{submitted.first}")

    async def _read(self, account: str, jid: int) -> tuple[JobInfo, pack.Envelope]:
        """Return what a job ran with, and what pickled it.

        Raises:
            NotFound: When its function or its arguments are no longer stored.
        """
        asked = wire.InfoRequest(jids=[(jid, jid)], keys=_KEYS)
        infos = await self._jobs.info.info(account, asked)
        (job,) = infos.jobs
        if job.function is None or job.arguments is None:
            raise NotFound(f"What job {jid} ran with is no longer stored.")
        return job, infos.envelopes[job.envelope]

    async def _arguments(
        self, account: str, job: JobInfo, hold: Callable[[int], Awaitable[object]]
    ) -> wire.Content:
        """Return the arguments of a job as a pack of their own, which is stored if it is large."""
        assert job.arguments is not None
        parcel = job.arguments.parcel
        if parcel is None:
            stored = job.arguments.pack
            assert stored is not None
            await hold(2 * min(stored.size, ARGUMENT_BYTES))
            data = await self._blobs.read_checked(account, stored, ARGUMENT_BYTES)
            parcel = pack.Pack(data)[job.arguments.item]
        data = pack.write([parcel])
        if len(data) <= pack.INLINE_BYTES:
            return wire.Content("", len(data), data)
        digest = sha256(data).hexdigest()
        await self._blobs.put(account, digest, data)
        return wire.Content(digest, len(data))


def _options(attributes: Mapping[str, Any], fields: Mapping[str, list[str]]) -> wire.Options:
    """Return the options of a job, with those of a form in their place; an empty field is none."""
    kept = {name: value for name, value in attributes.items() if name not in _OWN}
    chosen = {name: text_of(fields, name).strip() or None for name in _NAMES}
    # Not strict: a number in a form is text.
    return msgspec.convert(
        {**kept, **chosen, "profile": "profile" in fields}, wire.Options, strict=False
    )


def add_to(
    app: App[Request, Response], use_cases: UseCases, renderer: Renderer, visitors: Visitors
) -> None:
    """Add the page to the application."""
    page = ClonePage(use_cases, renderer, visitors)
    app.add_route(f"/jobs/{{jid:int(min=1, max={MAX_JID})}}/clone", page)
