"""Slot pages: where the scheduler itself shows the slot of a job, to those who operate it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from picloud_model.errors import AdministratorsOnly, NotFound, RequestRefused

from picloud_api.store import layout
from picloud_api.usecases.accounts.account import check_administrator
from picloud_api.usecases.jobs.tunnel import RunningJobs

if TYPE_CHECKING:
    from picloud_driver.scheduler import SchedulerPort

    from picloud_api.engine.process.context import Context
    from picloud_api.store.records import Slot
    from picloud_api.usecases.accounts.account import Holder


class SlotPages:
    """Finds the pages of a scheduler about slots that run jobs."""

    def __init__(self, context: Context, scheduler: SchedulerPort) -> None:
        self._view = context.commits.view
        self._running = RunningJobs(context)
        self._scheduler = scheduler

    async def of_job(self, holder: Holder, jid: int) -> str:
        """Return the URL of the page about the slot that runs a job.

        It is "" for those who are not administrators, if the job does not run, and if the
        scheduler has no pages.
        """
        with suppress(AdministratorsOnly, NotFound, RequestRefused):
            check_administrator(holder)
            _, number = await self._running.find(holder.account, jid)
            slot: Slot | None = await self._view.get(layout.slot(number))
            return "" if slot is None else self._scheduler.page_of(slot.place)
        return ""
