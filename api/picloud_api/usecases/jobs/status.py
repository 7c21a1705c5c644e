"""`status`: the status of each job, as its user sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_model.wire import Statuses, StatusRun

from picloud_api.engine.jobs.locate import locate, read_pages, refuse_deleted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_model.ranges import Range

    from picloud_api.engine.process.context import Context


class JobStatuses:
    """Returns the statuses of jobs."""

    def __init__(self, context: Context) -> None:
        self._view = context.commits.view

    async def status(self, account: str, jids: Sequence[Range]) -> Statuses:
        """Return the status of each job, as runs in the order of the request.

        Raises:
            JobNotFound: When one of the jobs does not exist in this account.
            JobDeleted: When one of them was deleted.
        """
        runs: list[StatusRun] = []
        async for piece, page in read_pages(self._view, await locate(self._view, account, jids)):
            refuse_deleted(page, piece)
            for index in range(piece.start, piece.stop):
                shown, jid = page.shown(index).value, piece.first + index
                last = runs[-1] if runs else None
                if last and last.status == shown and last.last == jid - 1:
                    runs[-1] = StatusRun(last.first, jid, shown)
                else:
                    runs.append(StatusRun(jid, jid, shown))
        return Statuses(runs=runs)
