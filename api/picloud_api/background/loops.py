"""The background of a server: the list of everything it does over and over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import msgspec
import structlog
from picloud_model.errors import PiCloudError

from picloud_api.background.budget_keeper import BudgetKeeper
from picloud_api.background.cron_starter import CronStarter
from picloud_api.background.events import EventDispatcher
from picloud_api.background.handler_starter import HandlerStarter
from picloud_api.background.leader import Leadership
from picloud_api.background.notifier import Notifier
from picloud_api.background.reaper import CHECK_EVERY_S, Reaper
from picloud_api.background.recovery import Recovery
from picloud_api.background.sealer import Sealer
from picloud_api.background.sweepers.blob_sweeper import BlobSweeper
from picloud_api.background.sweepers.retention import Retention
from picloud_api.background.sweepers.secret_revoker import SecretRevoker
from picloud_api.background.sweepers.stage_sweeper import StageSweeper
from picloud_api.background.sweepers.stream_sweeper import StreamSweeper
from picloud_api.background.webhook_sender import WebhookSender
from picloud_api.engine.scheduling.autoscaler import SlotAutoscaler
from picloud_api.engine.scheduling.deadlock import Deadlock
from picloud_api.engine.scheduling.warm_slots import WarmSlotKeeper

if TYPE_CHECKING:
    from picloud_driver.bucket import BucketPort
    from picloud_driver.scheduler import SchedulerPort
    from picloud_driver.webhook import WebhookPort

    from picloud_api.engine.dependencies.dependency import Dependencies
    from picloud_api.engine.jobs.live_query import LiveQueries
    from picloud_api.engine.process.context import Context
    from picloud_api.usecases.crons.cron import Crons
    from picloud_api.usecases.environments.image_sweep import ImageSweep
    from picloud_api.usecases.jobs.delete import DeleteJobs
    from picloud_api.usecases.jobs.kill import KillJobs
    from picloud_api.usecases.jobs.status import JobStatuses
    from picloud_api.usecases.queues.attachment import Attachments
    from picloud_api.usecases.queues.pushed_queues import PushedQueues
    from picloud_api.usecases.rest.warm_slots import WarmPools
    from picloud_api.usecases.slots.realtime import RealtimeCores
    from picloud_api.usecases.slots.slot import Slots
    from picloud_api.usecases.storage.blob_sweep import BlobSweep
    from picloud_api.usecases.use_cases import AccountsRoom

TICK_S: Final = 1.0
"""How often deadlocks, missing slots, what budgets stop and secrets to revoke are looked for; also
the pause after a failure."""
RESYNC_EVERY_S: Final = 10.0
"""How often everything is read and compared, whatever the events were."""
WEBHOOK_EVERY_S: Final = 0.25
"""How late a webhook may be posted, at most."""
CRON_EVERY_S: Final = 0.1
"""How late the job of a cron job may be submitted, at most."""
SEAL_EVERY_S: Final = 10.0
SWEEP_EVERY_S: Final = 60.0
SWEEP_BLOBS_EVERY_S: Final = 900.0
"""How often a sweep may be due."""
DELETE_EVERY_S: Final = 3600.0
PUBLISH_EVERY_S: Final = 5.0
"""How often a process publishes though nothing changed, so that the others know it lives."""

_log = structlog.get_logger()


class Loop(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a server does over and over."""

    run: Callable[[], Awaitable[None]]
    every_s: float = 0.0
    """The pause before each run; 0 for what waits by itself."""
    at_once: bool = False
    """Whether the first run comes without that pause."""
    needed: bool = True
    """Whether the stack that was chosen needs it."""


class Background:
    """Everything that a server does without a request."""

    def __init__(
        self,
        context: Context,
        slots: Slots,
        live: LiveQueries,
        scheduler: SchedulerPort,
        *,
        dependencies: Dependencies,
        crons: Crons,
        delete: DeleteJobs,
        sweep: BlobSweep,
        image_sweep: ImageSweep,
        buckets: BucketPort,
        attachments: Attachments,
        pushed: PushedQueues,
        warm: WarmPools,
        realtime: RealtimeCores,
        statuses: JobStatuses,
        webhooks: WebhookPort,
        accounts: AccountsRoom,
        kill: KillJobs,
        keep_days: float,
        sweep_hours: float,
    ) -> None:
        self._state = context.commits.view.state
        self.autoscaler = autoscaler = SlotAutoscaler(context, scheduler, image_sweep.use.check)
        self.dependencies = dependencies
        self.deadlock = Deadlock(context)
        self.recovery = Recovery(context, self.dependencies, autoscaler)
        self.events = EventDispatcher(context, self.recovery, self.dependencies, live, autoscaler)
        self.notifier = Notifier(context, self.events)
        self.reaper = Reaper(context, self.recovery, slots, autoscaler, scheduler, kill=kill)
        self.leader = Leadership(self._state, autoscaler)
        self.cron_starter = CronStarter(context, self.leader, crons)
        self.sealer = Sealer(context, self.leader)
        self.stage_sweeper = StageSweeper(context, self.leader)
        self.stream_sweeper = StreamSweeper(context, self.leader)
        self.retention = Retention(context, self.leader, delete, keep_days)
        self.blob_sweeper = BlobSweeper(
            context, self.leader, sweep, buckets, image_sweep, hours=sweep_hours
        )
        self.handler_starter = HandlerStarter(attachments, pushed, self.leader)
        self.warm_slots = WarmSlotKeeper(context, warm.counts, realtime, autoscaler)
        self.webhook_sender = WebhookSender(
            context,
            self.leader,
            statuses=statuses,
            secrets=accounts.webhook_secrets,
            port=webhooks,
        )
        self.budget_keeper = BudgetKeeper(context, self.leader, accounts.budgets, kill, realtime)
        self.secret_revoker = SecretRevoker(context, self.leader, accounts.minted_secrets)
        self._tasks: list[asyncio.Task[None]] = []

    def loops(self) -> list[Loop]:
        """Return every loop; a new one is one row."""
        shared, bounded = self._state.shared, self._state.bounded
        return [
            Loop(run=self.reaper.remove_ended),
            Loop(run=self.reaper.remove_silent, every_s=CHECK_EVERY_S),
            Loop(run=self.reaper.resync, every_s=RESYNC_EVERY_S, at_once=True),
            Loop(run=self.deadlock.resolve, every_s=TICK_S),
            Loop(run=self.autoscaler.adjust, every_s=TICK_S),
            Loop(run=self.notifier.listen, needed=shared),
            Loop(run=self.notifier.publish, every_s=PUBLISH_EVERY_S, needed=shared),
            Loop(run=self.leader.lead, needed=shared),
            Loop(run=self.cron_starter.start_if_leader, every_s=CRON_EVERY_S),
            Loop(run=self.webhook_sender.send_if_leader, every_s=WEBHOOK_EVERY_S),
            Loop(run=self.budget_keeper.keep, every_s=TICK_S),
            Loop(run=self.secret_revoker.revoke_if_leader, every_s=TICK_S),
            Loop(run=self.handler_starter.start_for_pushed),
            Loop(run=self.handler_starter.start_if_leader, every_s=TICK_S),
            Loop(run=self.warm_slots.keep),
            Loop(run=self.stage_sweeper.sweep_if_leader, every_s=SWEEP_EVERY_S),
            Loop(run=self.stream_sweeper.sweep_if_leader, every_s=SWEEP_EVERY_S),
            Loop(
                run=self.retention.delete_if_leader,
                every_s=DELETE_EVERY_S,
                at_once=True,
                needed=self.retention.days > 0,
            ),
            Loop(
                run=self.blob_sweeper.sweep_if_leader,
                every_s=SWEEP_BLOBS_EVERY_S,
                needed=self.blob_sweeper.hours > 0,
            ),
            Loop(run=self.sealer.seal_if_leader, every_s=SEAL_EVERY_S, needed=bounded),
        ]

    async def start(self) -> None:
        """Read what is unfinished, then start the loops."""
        if self._state.shared:
            # First, as the full look may miss what is published after it.
            await self.notifier.start()
        else:
            await self.reaper.adopt()
        await self.recovery.recover()
        self._tasks = [asyncio.create_task(repeat(loop)) for loop in self.loops() if loop.needed]

    async def stop(self) -> None:
        """Stop the loops and what they have begun."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.webhook_sender.stop()
        await self.reaper.stop()
        await self.events.stop()
        await self.dependencies.stop()


async def repeat(loop: Loop, retry_s: float = TICK_S) -> None:
    """Run a loop until it is cancelled; after a failure it goes on."""
    pause_s = 0.0 if loop.at_once else loop.every_s
    while True:
        await asyncio.sleep(pause_s)
        pause_s = loop.every_s
        try:
            await loop.run()
        except PiCloudError as error:
            pause_s = retry_s
            _log.warning("background.unavailable", reason=error.message)
        except Exception:  # noqa: BLE001 - a loop that ends leaves jobs in limbo
            pause_s = retry_s
            _log.exception("background.failed")
