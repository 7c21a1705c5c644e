"""`/jobs/...`: everything that is known of one job."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import falcon
import msgspec
from picloud_model import wire
from picloud_model.errors import NotFound, PathNotFound, RequestRefused, Unavailable
from picloud_model.info import STREAMS, InfoKey
from picloud_model.job import ENDED, Status
from picloud_model.ranges import MAX_JID

from picloud_api.resources.body import hold_bytes
from picloud_api.web.drawings.job_chart import job_chart, sample_file
from picloud_api.web.drawings.object_preview import image_type
from picloud_api.web.rendering import go_to
from picloud_api.web.traceback_frames import frames_of

if TYPE_CHECKING:
    from falcon.asgi import App, Request, Response

    from picloud_api.usecases.use_cases import UseCases
    from picloud_api.web.rendering import Renderer
    from picloud_api.web.visitor import Visitor, Visitors

SHOWN_CHARACTERS: Final = 16 * 1024
"""How much of the end of a stream or of a result the page shows; files have all that is kept."""
_KEYS: Final = [
    key.value
    for key in (
        InfoKey.STATUS, InfoKey.STDOUT, InfoKey.STDERR, InfoKey.LOGGING, InfoKey.PILOG,
        InfoKey.WHY, InfoKey.EXCEPTION, InfoKey.RUNTIME, InfoKey.CREATED, InfoKey.FINISHED,
        InfoKey.FUNCTION, InfoKey.LABEL, InfoKey.ATTRIBUTES, InfoKey.PROFILE, InfoKey.CPU_USER,
        InfoKey.CPU_SYSTEM, InfoKey.CPU_PERCENTAGE, InfoKey.MEMORY_USAGE, InfoKey.MEMORY_PEAK,
        InfoKey.PORTS, InfoKey.SAMPLES, InfoKey.COST, InfoKey.WEBHOOK,
        InfoKey.MEMORY_FAILURES, InfoKey.SWAP_PEAK, InfoKey.DISK_USAGE, InfoKey.NETWORK_RECEIVED,
        InfoKey.NETWORK_SENT, InfoKey.SYSLOG, InfoKey.PARENT, InfoKey.ENV,
        InfoKey.DEPENDS_ON,
    )
]  # fmt: skip


class JobPage:
    """The page of one job, and its output as files."""

    def __init__(self, use_cases: UseCases, renderer: Renderer, visitors: Visitors) -> None:
        self._jobs = use_cases.jobs
        self._renderer = renderer
        self._visitors = visitors

    async def _values(self, visitor: Visitor, jid: int, keys: list[str]) -> dict[str, Any]:
        request = wire.InfoRequest(jids=[(jid, jid)], keys=keys)
        return (await self._jobs.info.info(visitor.account, request)).jobs[0].values

    async def on_get(self, request: Request, response: Response, jid: int) -> None:
        """Show a job; nothing, if it does not run and the browser has it as it is."""
        visitor = await self._visitors.of(request)
        stamp = self._jobs.listing.stamp(visitor.account)
        if request.get_param("stamp") == stamp:
            status = await self._jobs.status.of_one(visitor.account, jid)
            if status != Status.PROCESSING:
                response.status = falcon.HTTP_204
                return
        values = await self._values(visitor, jid, _KEYS)
        status = values[InfoKey.STATUS]
        result, problem = "", ""
        if status == Status.DONE:
            result, problem = await self._result(request, visitor, jid)
        batch = await self._jobs.listing.batch(visitor.account, jid)
        self._renderer.show(
            response,
            "job_live.html" if request.get_header("HX-Request") else "job.html",
            visitor,
            jid=jid,
            batch=batch,
            info=values,
            is_final=status in ENDED,
            chart=job_chart(values),
            frames=frames_of(values[InfoKey.EXCEPTION] or ""),
            result=result[:SHOWN_CHARACTERS],
            is_image=bool(image_type(_bytes_of(result))),
            result_problem=problem,
            is_cut=len(result) > SHOWN_CHARACTERS,
            streams=[each.value for each in STREAMS],
            shown=SHOWN_CHARACTERS,
            slot_page=await self._jobs.slot_pages.of_job(visitor.holder, jid),
            # Browsers would send the cookie of the pages to each port of their host.
            own_hosts=(request.host, request.forwarded_host),
            stamp=stamp,
        )

    async def _result(self, request: Request, visitor: Visitor, jid: int) -> tuple[str, str]:
        """Return the result of a job as JSON, and why it cannot be shown, if so."""
        try:
            read = self._jobs.plain_result.read
            data = await read(visitor.account, jid, partial(hold_bytes, request))
        except (RequestRefused, NotFound, Unavailable) as error:
            return "", error.message
        return data.decode(), ""

    async def on_get_file(self, request: Request, response: Response, jid: int, name: str) -> None:
        """Return the output of a job as a file: all of it that is kept."""
        visitor = await self._visitors.of(request)
        if name == "samples.csv":
            values = await self._values(visitor, jid, [InfoKey.SAMPLES.value])
            response.content_type = "text/csv; charset=utf-8"
            response.downloadable_as = f"job-{jid}-samples.csv"
            response.data = sample_file(values).encode()
            return
        key = name.removesuffix(".txt")
        if key not in {*STREAMS, InfoKey.EXCEPTION, InfoKey.PROFILE, InfoKey.PILOG}:
            raise PathNotFound
        text: str = (await self._values(visitor, jid, [key]))[key] or ""
        response.content_type = "text/plain; charset=utf-8"
        response.downloadable_as = f"job-{jid}-{key}.txt"
        response.data = text.encode(errors="replace")

    async def on_get_result(self, request: Request, response: Response, jid: int) -> None:
        """Return the result of a job as a file of JSON, if JSON can hold it."""
        visitor = await self._visitors.of(request)
        read = self._jobs.plain_result.read
        data = await read(visitor.account, jid, partial(hold_bytes, request))
        response.content_type = wire.JSON
        response.downloadable_as = f"job-{jid}-result.json"
        response.data = data

    async def on_get_image(self, request: Request, response: Response, jid: int) -> None:
        """Return the result of a job as an image, if it is the bytes of one."""
        visitor = await self._visitors.of(request)
        read = self._jobs.plain_result.read
        data = await read(visitor.account, jid, partial(hold_bytes, request))
        image = _bytes_of(data)
        kind = image_type(image)
        if not kind:
            raise NotFound(f"The result of job {jid} is not an image that can be shown.")
        response.content_type = kind
        response.data = image

    async def on_post_kill(self, request: Request, response: Response, jid: int) -> None:
        """Kill the job."""
        visitor = await self._visitors.of(request)
        await self._visitors.form(request, visitor)
        await self._jobs.kill.kill(visitor.account, [(jid, jid)])
        go_to(response, f"/jobs/{jid}")

    async def on_post_delete(self, request: Request, response: Response, jid: int) -> None:
        """Delete the job."""
        visitor = await self._visitors.of(request)
        await self._visitors.form(request, visitor)
        await self._jobs.delete.delete(visitor.account, [(jid, jid)])
        go_to(response, "/jobs")


def _bytes_of(result: bytes | str) -> bytes:
    """Return the bytes that a result is, as JSON holds bytes; none if it is something else.

    >>> _bytes_of('"R0lGODlh"'), _bytes_of("[1]"), _bytes_of('"no bytes"')
    (b'GIF89a', b'', b'')
    """
    try:
        return msgspec.json.decode(result, type=bytes)
    except msgspec.DecodeError:
        return b""


def add_to(
    app: App[Request, Response], use_cases: UseCases, renderer: Renderer, visitors: Visitors
) -> None:
    """Add the pages to the application."""
    page = JobPage(use_cases, renderer, visitors)
    address = f"/jobs/{{jid:int(min=1, max={MAX_JID})}}"
    app.add_route(address, page)
    app.add_route(f"{address}/files/{{name}}", page, suffix="file")
    app.add_route(f"{address}/result.json", page, suffix="result")
    app.add_route(f"{address}/image", page, suffix="image")
    app.add_route(f"{address}/kill", page, suffix="kill")
    app.add_route(f"{address}/delete", page, suffix="delete")
