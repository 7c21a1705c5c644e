"""`/jobs/.../dependencies`: the jobs that a job waits for, drawn as a graph."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model import wire
from picloud_model.errors import NotFound
from picloud_model.info import InfoKey
from picloud_model.ranges import MAX_JID

from picloud_api.web.drawings.dependency_graph import BOX, DependencyNode, dependency_graph

if TYPE_CHECKING:
    from collections.abc import Sequence

    from falcon.asgi import App, Request, Response
    from picloud_model.ranges import Range

    from picloud_api.usecases.use_cases import UseCases
    from picloud_api.web.rendering import Renderer
    from picloud_api.web.visitor import Visitors

MOST_NODES: Final = 40
"""How many boxes are drawn."""
_KEYS: Final = [key.value for key in (InfoKey.STATUS, InfoKey.FUNCTION, InfoKey.DEPENDS_ON)]


class DependencyPage:
    """What a job waits for, or has waited for."""

    def __init__(self, use_cases: UseCases, renderer: Renderer, visitors: Visitors) -> None:
        self._info = use_cases.jobs.info
        self._listing = use_cases.jobs.listing
        self._status = use_cases.jobs.status
        self._renderer = renderer
        self._visitors = visitors

    async def on_get(self, request: Request, response: Response, jid: int) -> None:
        """Show a job behind the jobs that it waited for, and those that these waited for."""
        visitor = await self._visitors.of(request)
        last = (jid, jid)
        nodes = {last: await self._node(visitor.account, last)}
        following = [last]
        is_cut = False
        while following and not is_cut:
            jids = following.pop(0)
            before = await self._apart(visitor.account, nodes[jids].depends_on)
            nodes[jids] = msgspec.structs.replace(nodes[jids], depends_on=before)
            for each in before:
                is_cut |= each not in nodes and len(nodes) >= MOST_NODES
                if each not in nodes and not is_cut:
                    with suppress(NotFound):  # it was deleted
                        nodes[each] = await self._node(visitor.account, each)
                        following.append(each)
        self._renderer.show(
            response,
            "dependencies.html",
            visitor,
            jid=jid,
            graph=dependency_graph(nodes, last),
            box=BOX,
            is_cut=is_cut,
        )

    async def _apart(self, account: str, ranges: Sequence[Range]) -> list[Range]:
        """Return ranges of jobs, each of one call or map; of deleted ones the jids as they are."""
        apart: list[Range] = []
        for first, last in ranges:
            at = first
            while at <= last and len(apart) < MOST_NODES:
                try:
                    end = (await self._listing.batch(account, at)).jids[-1]
                except NotFound:
                    end = last
                apart.append((at, min(end, last)))
                at = end + 1
        return apart

    async def _node(self, account: str, jids: Range) -> DependencyNode:
        asked = wire.InfoRequest(jids=[(jids[0], jids[0])], keys=_KEYS)
        (job,) = (await self._info.info(account, asked)).jobs
        status = job.values[InfoKey.STATUS]
        if jids[0] != jids[1]:
            counts: Counter[str] = Counter()
            for run in (await self._status.status(account, [jids])).runs:
                counts[run.status] += run.last - run.first + 1
            status = ", ".join(f"{count:,} {name}" for name, count in counts.items())
        return DependencyNode(
            jids=jids,
            function_name=job.values[InfoKey.FUNCTION],
            status=status,
            depends_on=[(first, last) for first, last in job.values[InfoKey.DEPENDS_ON]],
        )


def add_to(
    app: App[Request, Response], use_cases: UseCases, renderer: Renderer, visitors: Visitors
) -> None:
    """Add the page to the application."""
    page = DependencyPage(use_cases, renderer, visitors)
    app.add_route(f"/jobs/{{jid:int(min=1, max={MAX_JID})}}/dependencies", page)
