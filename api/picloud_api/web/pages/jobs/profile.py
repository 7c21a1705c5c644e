"""`/jobs/.../profile`: where the time of a job went, as a table and as a flame graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from picloud_model import wire
from picloud_model.errors import NotFound
from picloud_model.info import InfoKey
from picloud_model.ranges import MAX_JID

from picloud_api.web.drawings.flame_graph import ROW, WIDTH, flame_graph, short
from picloud_api.web.drawings.profile_table import MOST_ROWS, ORDERS, profile_table

if TYPE_CHECKING:
    from falcon.asgi import App, Request, Response

    from picloud_api.usecases.use_cases import UseCases
    from picloud_api.web.rendering import Renderer
    from picloud_api.web.visitor import Visitors


class ProfilePage:
    """The profile of a job that was called with `_profile=True`."""

    def __init__(self, use_cases: UseCases, renderer: Renderer, visitors: Visitors) -> None:
        self._info = use_cases.jobs.info
        self._renderer = renderer
        self._visitors = visitors

    async def on_get(self, request: Request, response: Response, jid: int) -> None:
        """Show the profile, sorted as the visitor chose, from the function that they chose."""
        visitor = await self._visitors.of(request)
        asked = wire.InfoRequest(jids=[(jid, jid)], keys=[InfoKey.PROFILE_CALLS.value])
        (job,) = (await self._info.info(visitor.account, asked)).jobs
        rows = job.values[InfoKey.PROFILE_CALLS]
        if not rows:
            raise NotFound(f"Job {jid} has no profile: call it with _profile=True.")
        calls = msgspec.convert(rows, list[wire.ProfiledCall])
        chosen = request.get_param("sort") or ""
        sort = chosen if chosen in ORDERS else next(iter(ORDERS))
        focus = request.get_param("focus") or ""
        if focus not in {call.function for call in calls}:
            focus = ""
        self._renderer.show(
            response,
            "profile.html",
            visitor,
            jid=jid,
            sort=sort,
            focus=focus,
            functions=profile_table(calls, sort),
            most=MOST_ROWS,
            graph=flame_graph(calls, focus),
            size=(WIDTH, ROW),
            short=short,
        )


def add_to(
    app: App[Request, Response], use_cases: UseCases, renderer: Renderer, visitors: Visitors
) -> None:
    """Add the page to the application."""
    page = ProfilePage(use_cases, renderer, visitors)
    app.add_route(f"/jobs/{{jid:int(min=1, max={MAX_JID})}}/profile", page)
