"""`/maps/...`: the jobs of a map, under the jid of its first job."""

from __future__ import annotations

from typing import TYPE_CHECKING

import falcon
from picloud_model import wire
from picloud_model.ranges import MAX_JID

from picloud_api.web.pages.jobs.job_filter import ROWS, ListFilter

if TYPE_CHECKING:
    from falcon.asgi import App, Request, Response

    from picloud_api.usecases.use_cases import UseCases
    from picloud_api.web.rendering import Renderer
    from picloud_api.web.visitor import Visitors


class MapPage:
    """The jobs of one map."""

    def __init__(self, use_cases: UseCases, renderer: Renderer, visitors: Visitors) -> None:
        self._listing = use_cases.jobs.listing
        self._renderer = renderer
        self._visitors = visitors

    async def on_get(self, request: Request, response: Response, first: int) -> None:
        """Show some jobs of a map; nothing, if the browser has them as they are."""
        visitor = await self._visitors.of(request)
        chosen = ListFilter.read(request)
        stamp = self._listing.stamp(visitor.account)
        if request.get_param("stamp") == stamp:
            response.status = falcon.HTTP_204
            return
        batch = await self._listing.batch(visitor.account, first)
        end = batch.jids.stop
        portion = wire.ListRequest(
            statuses=chosen.statuses, before=min(chosen.before or end, end), limit=ROWS
        )
        listed = await self._listing.list(visitor.account, portion)
        more = listed.more if listed.more is not None and listed.more > batch.first else None
        self._renderer.show(
            response,
            "map_list.html" if request.get_header("HX-Request") else "map.html",
            visitor,
            chosen=chosen,
            batch=batch,
            jobs=[job for job in listed.jobs if job.jid >= batch.first],
            more=more,
            stamp=stamp,
        )


def add_to(
    app: App[Request, Response], use_cases: UseCases, renderer: Renderer, visitors: Visitors
) -> None:
    """Add the page to the application."""
    address = f"/maps/{{first:int(min=1, max={MAX_JID})}}"
    app.add_route(address, MapPage(use_cases, renderer, visitors))
