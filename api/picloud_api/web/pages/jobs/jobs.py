"""`/jobs`: the dashboard, a row for each call and map, and what its forms do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import falcon
import msgspec
from falcon import uri
from picloud_model.errors import RequestRefused
from picloud_model.job import ENDED
from picloud_model.ranges import merged, parse

from picloud_api.web.pages.jobs.job_filter import AGES, ListFilter
from picloud_api.web.rendering import go_to
from picloud_api.web.visitor import text_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from falcon.asgi import App, Request, Response
    from picloud_model.ranges import Range
    from picloud_model.wire import ListedBatch

    from picloud_api.usecases.use_cases import UseCases
    from picloud_api.web.rendering import Renderer
    from picloud_api.web.visitor import Visitors


_ALL: Final = "all"
"""The field of a form that is for all jobs of a list, and not for chosen ones."""
_AT_ONCE: Final = 1_000
"""How many calls and maps are killed or deleted together."""


class JobsPage:
    """The dashboard of an account."""

    def __init__(self, use_cases: UseCases, renderer: Renderer, visitors: Visitors) -> None:
        self._jobs = use_cases.jobs
        self._renderer = renderer
        self._visitors = visitors

    async def on_get_home(self, request: Request, response: Response) -> None:
        """Go to the dashboard."""
        del request
        go_to(response, "/jobs")

    async def on_get(self, request: Request, response: Response) -> None:
        """Show a page of the dashboard; nothing, if the browser has it as it is."""
        visitor = await self._visitors.of(request)
        chosen = ListFilter.read(request)
        stamp = self._jobs.listing.stamp(visitor.account)
        if request.get_param("stamp") == stamp:
            response.status = falcon.HTTP_204
            return
        listed = await self._jobs.listing.batches(visitor.account, chosen.batches())
        self._renderer.show(
            response,
            "jobs_list.html" if request.get_header("HX-Request") else "jobs.html",
            visitor,
            chosen=chosen,
            ages=list(AGES),
            listed=listed,
            stamp=stamp,
        )

    async def on_post_kill(self, request: Request, response: Response) -> None:
        """Kill the chosen jobs, or all that the list finds."""
        visitor = await self._visitors.of(request)
        fields = await self._visitors.form(request, visitor)
        if _ALL in fields:
            async for batches in self._found(visitor.account, fields):
                await self._jobs.kill.kill(visitor.account, _ranges(batches))
        else:
            await self._jobs.kill.kill(visitor.account, _jids(fields))
        _go_back(response, fields)

    async def on_post_delete(self, request: Request, response: Response) -> None:
        """Delete the chosen jobs, or all calls and maps that the list finds and that have ended."""
        visitor = await self._visitors.of(request)
        fields = await self._visitors.form(request, visitor)
        if _ALL in fields:
            async for batches in self._found(visitor.account, fields):
                ended = [batch for batch in batches if ENDED.issuperset(batch.statuses)]
                await self._jobs.delete.delete(visitor.account, _ranges(ended))
        else:
            await self._jobs.delete.delete(visitor.account, _jids(fields))
        _go_back(response, fields)

    async def _found(
        self, account: str, fields: dict[str, list[str]]
    ) -> AsyncIterator[list[ListedBatch]]:
        """Yield what a list finds on all its pages, some at a time.

        Raises:
            RequestRefused: When it is limited to a status: a map may have jobs of several.
        """
        parameters = uri.parse_query_string(text_of(fields, "back"), keep_blank=True)
        chosen = ListFilter.of(lambda name: str(parameters.get(name, "")))
        if chosen.status:
            raise RequestRefused("This list has a status: choose jobs in it.", field="status")
        before: int | None = None
        while True:
            portion = msgspec.structs.replace(chosen, before=before).batches(_AT_ONCE)
            listed = await self._jobs.listing.batches(account, portion)
            yield listed.batches
            before = listed.more
            if before is None:
                return


def _ranges(batches: Iterable[ListedBatch]) -> list[Range]:
    return merged((batch.jids[0], batch.jids[-1]) for batch in batches)


def _jids(fields: dict[str, list[str]]) -> list[Range]:
    """Return the jobs that a form names.

    Raises:
        RequestRefused: When it names none.
    """
    texts = fields.get("jids", [])
    if not texts:
        raise RequestRefused("No job is chosen: go back and check the boxes of some.")
    return merged(each for text in texts for each in parse(text))


def _go_back(response: Response, fields: dict[str, list[str]]) -> None:
    """Show the list that a form was on; its address is made here, so it is one of this site."""
    back = text_of(fields, "back")
    first = text_of(fields, "map")
    path = f"/maps/{first}" if first.isascii() and first.isdigit() else "/jobs"
    go_to(response, f"{path}?{back}" if back else path)


def add_to(
    app: App[Request, Response], use_cases: UseCases, renderer: Renderer, visitors: Visitors
) -> None:
    """Add the pages to the application."""
    page = JobsPage(use_cases, renderer, visitors)
    app.add_route("/", page, suffix="home")
    app.add_route("/jobs", page)
    app.add_route("/jobs/kill", page, suffix="kill")
    app.add_route("/jobs/delete", page, suffix="delete")
