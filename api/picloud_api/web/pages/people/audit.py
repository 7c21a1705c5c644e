"""`/audit`: who did what in an account, for its owners."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.wire.audit import COLUMNS, MAX_ENTRIES, AuditRequest, cells

from picloud_api.resources.body import reauthenticate
from picloud_api.web.rendering import moment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from falcon.asgi import App, Request, Response

    from picloud_api.usecases.use_cases import UseCases
    from picloud_api.web.rendering import Renderer
    from picloud_api.web.visitor import Visitors

_SHOWN: Final = 100


class AuditPage:
    """The audit log of an account, a hundred entries at a time, or whole as a file."""

    def __init__(self, use_cases: UseCases, renderer: Renderer, visitors: Visitors) -> None:
        self._audit = use_cases.operation.audit
        self._renderer = renderer
        self._visitors = visitors

    async def on_get(self, request: Request, response: Response) -> None:
        """Show the newest entries, or those before one."""
        visitor = await self._visitors.of(request)
        before = request.get_param("before")
        values = {"before": before, "limit": _SHOWN}
        wanted = msgspec.convert(values, AuditRequest, strict=False)
        entries = (await self._audit.read(visitor.account, wanted)).entries
        more = entries[-1].number if len(entries) == _SHOWN else None
        shown = {"entries": entries, "more": more, "before": before}
        self._renderer.show(response, "audit.html", visitor, **shown)

    async def on_get_file(self, request: Request, response: Response) -> None:
        """Download all entries as CSV."""
        visitor = await self._visitors.of(request)
        response.content_type = "text/csv; charset=utf-8"
        response.downloadable_as = "audit.csv"
        response.stream = self._rows(request, visitor.account)

    async def _rows(self, request: Request, account: str) -> AsyncIterator[bytes]:
        yield _csv([COLUMNS])
        before: int | None = None
        while before is None or before > 0:
            wanted = AuditRequest(before=before, limit=MAX_ENTRIES)
            entries = (await self._audit.read(account, wanted)).entries
            await reauthenticate(request)
            if not entries:
                return
            yield _csv(cells(each, f"{moment(each.at)}Z") for each in entries)
            before = entries[-1].number


def _csv(rows: Iterable[Iterable[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode(errors="replace")


def add_to(
    app: App[Request, Response], use_cases: UseCases, renderer: Renderer, visitors: Visitors
) -> None:
    """Add the page to the application."""
    page = AuditPage(use_cases, renderer, visitors)
    app.add_route("/audit", page)
    app.add_route("/audit/audit.csv", page, suffix="file")
