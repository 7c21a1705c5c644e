"""`/crons`: the cron jobs of an account: when they run next, and how their last job ended."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import msgspec
from picloud_model.errors import PathNotFound
from picloud_model.wire.cron import RunCronRequest

from picloud_api.web.rendering import go_to
from picloud_api.web.visitor import text_of

if TYPE_CHECKING:
    from falcon.asgi import App, Request, Response

    from picloud_api.usecases.use_cases import UseCases
    from picloud_api.web.rendering import Renderer
    from picloud_api.web.visitor import Visitors


class CronsPage:
    """The cron jobs of an account."""

    def __init__(self, use_cases: UseCases, renderer: Renderer, visitors: Visitors) -> None:
        self._crons = use_cases.crons.crons
        self._renderer = renderer
        self._visitors = visitors

    async def on_get(self, request: Request, response: Response) -> None:
        """Show the cron jobs."""
        visitor = await self._visitors.of(request)
        crons = (await self._crons.list(visitor.account)).crons
        self._renderer.show(response, "crons.html", visitor, crons=crons, new_id=uuid4().hex)

    async def on_post_verb(self, request: Request, response: Response, verb: str) -> None:
        """Run a cron job now, or remove it."""
        visitor = await self._visitors.of(request)
        fields = await self._visitors.form(request, visitor)
        label = text_of(fields, "label")
        address = "/crons"
        if verb == "run":
            # The form has an id, so that sending it twice runs the job once.
            values = {"label": label, "submit_id": text_of(fields, "submit_id")}
            started = await self._crons.run(
                visitor.account, msgspec.convert(values, RunCronRequest)
            )
            address = f"/jobs/{started.jid}"
        elif verb == "remove":
            await self._crons.deregister(visitor.account, label)
        else:
            raise PathNotFound
        go_to(response, address)


def add_to(
    app: App[Request, Response], use_cases: UseCases, renderer: Renderer, visitors: Visitors
) -> None:
    """Add the page to the application."""
    page = CronsPage(use_cases, renderer, visitors)
    app.add_route("/crons", page)
    app.add_route("/crons/{verb}", page, suffix="verb")
