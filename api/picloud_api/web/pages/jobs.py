"""`/jobs`: the dashboard, a row for each call and map, and what its forms do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import falcon
from picloud_model.errors import RequestRefused
from picloud_model.ranges import merged, parse

from picloud_api.web.pages.job_filter import AGES, ListFilter
from picloud_api.web.rendering import go_to
from picloud_api.web.visitor import text_of

if TYPE_CHECKING:
    from falcon.asgi import App, Request, Response
    from picloud_model.ranges import Range

    from picloud_api.usecases.use_cases import UseCases
    from picloud_api.web.rendering import Renderer
    from picloud_api.web.visitor import Visitors


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
        """Kill the chosen jobs."""
        visitor = await self._visitors.of(request)
        fields = await self._visitors.form(request, visitor)
        await self._jobs.kill.kill(visitor.account, _jids(fields))
        _go_back(response, fields)

    async def on_post_delete(self, request: Request, response: Response) -> None:
        """Delete the chosen jobs."""
        visitor = await self._visitors.of(request)
        fields = await self._visitors.form(request, visitor)
        await self._jobs.delete.delete(visitor.account, _jids(fields))
        _go_back(response, fields)


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
