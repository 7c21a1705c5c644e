"""`/queues`: the queues of an account with their handlers, drawn and as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.errors import PathNotFound
from picloud_model.wire.attachment import UpdateAttachmentRequest
from picloud_model.wire.queue import QueueRequest

from picloud_api.web.drawings.pipeline import BOX, RADIUS, pipeline
from picloud_api.web.drawings.queue_chart import HEIGHT, WIDTH, queue_chart, queue_plot
from picloud_api.web.rendering import go_to
from picloud_api.web.visitor import text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from falcon.asgi import App, Request, Response

    from picloud_api.usecases.use_cases import UseCases
    from picloud_api.web.rendering import Renderer
    from picloud_api.web.visitor import Visitors

MOST_SHOWN: Final = 100
"""How many queues the page shows: it asks each for its counts."""


class QueuesPage:
    """The queues of an account, and what its forms do with them."""

    def __init__(self, use_cases: UseCases, renderer: Renderer, visitors: Visitors) -> None:
        self._queues = use_cases.queues.queues
        self._attachments = use_cases.queues.attachments
        self._rates = use_cases.queues.rates
        self._renderer = renderer
        self._visitors = visitors

    async def on_get(self, request: Request, response: Response) -> None:
        """Show the queues; with `drain`, also how many messages of that one are left."""
        visitor = await self._visitors.of(request)
        names = (await self._queues.list(visitor.account)).names
        attachments = (await self._attachments.list(visitor.account)).attachments
        shown = names[:MOST_SHOWN]
        rates = (await self._rates.list(visitor.account, shown)).rates
        self._renderer.show(
            response,
            "queues_list.html" if request.get_header("HX-Request") else "queues.html",
            visitor,
            queues=[await self._queues.info(visitor.account, name) for name in shown],
            drained=request.get_param("drain"),
            attachments={each.queue: each for each in attachments},
            hidden=len(names) - len(shown),
            drawing=pipeline(shown, attachments),
            box=BOX,
            radius=RADIUS,
            charts={each.queue: queue_chart(each) for each in rates},
            chart_size=(WIDTH, HEIGHT),
        )

    async def on_get_one(self, request: Request, response: Response, name: str) -> None:
        """Show a queue: its messages, how fast they come and go, and the jobs of its handler."""
        visitor = await self._visitors.of(request)
        queue = msgspec.convert({"name": name}, QueueRequest).name
        info = await self._queues.info(visitor.account, queue)
        attachments = (await self._attachments.list(visitor.account)).attachments
        (rates,) = (await self._rates.list(visitor.account, [queue])).rates
        self._renderer.show(
            response,
            "queue_live.html" if request.get_header("HX-Request") else "queue.html",
            visitor,
            queue=info,
            handler=next((each for each in attachments if each.queue == queue), None),
            rates=queue_plot(rates),
        )

    async def on_post_verb(
        self, request: Request, response: Response, name: str, verb: str
    ) -> None:
        """Change a queue or its handler: purge, delete, pause, resume, drain, limit."""
        visitor = await self._visitors.of(request)
        fields = await self._visitors.form(request, visitor)
        queue = msgspec.convert({"name": name}, QueueRequest).name
        if verb == "purge":
            await self._queues.purge(visitor.account, queue)
        elif verb == "delete":
            await self._queues.delete(visitor.account, queue)
        else:
            if verb not in _CHANGES:
                raise PathNotFound
            values = {"queue": queue, **_CHANGES[verb](fields)}
            # Not strict: a number in a form is text.
            change = msgspec.convert(values, UpdateAttachmentRequest, strict=False)
            await self._attachments.update(visitor.account, change)
        go_to(response, f"/queues?drain={queue}" if verb == "drain" else "/queues")


def _limits(fields: Mapping[str, list[str]]) -> dict[str, object]:
    """Return the limits of a form; an empty field of those that may be unlimited means no limit."""
    limits: dict[str, object] = {"max_parallel_jobs": text_of(fields, "max_parallel_jobs")}
    for name in ("max_per_second", "max_in_flight"):
        limits[name] = text_of(fields, name) or 0
    return limits


_CHANGES: Final[Mapping[str, Callable[[Mapping[str, list[str]]], dict[str, object]]]] = {
    "pause": lambda _: {"paused": True},
    "resume": lambda _: {"paused": False},
    # A handler that is paused would never empty its queue.
    "drain": lambda _: {"paused": False},
    "limit": _limits,
}


def add_to(
    app: App[Request, Response], use_cases: UseCases, renderer: Renderer, visitors: Visitors
) -> None:
    """Add the page to the application."""
    page = QueuesPage(use_cases, renderer, visitors)
    app.add_route("/queues", page)
    app.add_route("/queues/{name}", page, suffix="one")
    app.add_route("/queues/{name}/{verb}", page, suffix="verb")
