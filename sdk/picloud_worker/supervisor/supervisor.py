"""The supervisor: talks with the server and keeps a child at work. It never runs user code.

One loop: give waiting jobs to the child, poll it, tell the server. A request is due when the
slot has nothing to do (it then reports and waits for the next lease at once), when results are
50 ms old, or when jobs are to be handed back.
"""

from __future__ import annotations

import selectors
import sys
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.crashpoints import crashpoint
from picloud_model.errors import BlobMissing, NotAllowed, PiCloudError, RequestRefused, Unavailable
from picloud_model.job import Cause
from picloud_model.pack import Envelope
from picloud_model.token import JobToken
from picloud_model.wire import (
    Content,
    Failure,
    JobGrant,
    LiveAnswer,
    SlotGranted,
    WorkAnswer,
    WorkRequest,
    pack_info,
)

from picloud_worker.api.client import ApiClient
from picloud_worker.api.outage import Outage
from picloud_worker.failure import bounded
from picloud_worker.supervisor import blob_cache
from picloud_worker.supervisor.blocked_jobs import is_full, most_aside
from picloud_worker.supervisor.bundle import Bundles
from picloud_worker.supervisor.executor import ChildrenFailError, Executor, Provision
from picloud_worker.supervisor.heartbeat import Heartbeat
from picloud_worker.supervisor.lease import HeldJobs
from picloud_worker.system import memory
from picloud_worker.zygote.client import ZygoteLostError

if TYPE_CHECKING:
    from picloud_model.wire import AttemptRef, Lease, LiveQuery

    from picloud_worker.supervisor.lease import Entry, PendingReport
    from picloud_worker.zygote.client import ZygoteClient

POLL_S: Final = 20.0
"""How long the server holds a request for work."""
REPORT_S: Final = 0.05
"""Age at which results are reported while more of them come."""
SLOW_S: Final = 0.2
"""Age at which a running job is slow: what is behind it goes back, and the heartbeat begins."""
TICK_S: Final = 0.025
"""How often results are looked for while jobs follow each other."""
REST_S: Final = 0.25
"""How often the child is looked at while it is in a long job; it wakes us when that ends."""
ASK_AGAIN_S: Final = 2.0
"""How often a slot whose jobs all wait asks for work; it is told when there is some."""
_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 1.0


class Exit(IntEnum):
    """Exit status of a worker."""

    DONE = 0
    """It has nothing to do here any more: idle, dismissed, or without a server."""
    BROKEN = 1
    """This machine cannot run jobs, or the worker has a fault."""


class Dismissed(Exception):
    """The slot is over; `farewell` tells whether to say goodbye."""

    def __init__(self, *, farewell: bool) -> None:
        super().__init__()
        self.farewell = farewell


class Slot(msgspec.Struct, frozen=True):
    """What a granted slot works with."""

    granted: SlotGranted
    api: ApiClient
    outage: Outage
    store: blob_cache.BlobCache
    bundles: Bundles
    directory: Path
    envelope: Envelope


class Clocks(msgspec.Struct, frozen=True):
    """Time: `wall` in seconds since the epoch, `monotonic` seconds from anywhere."""

    wall: Callable[[], float]
    monotonic: Callable[[], float]


class Supervisor:
    """Runs the jobs of one slot until there is no more to do."""

    def __init__(self, slot: Slot, zygote: ZygoteClient, clocks: Clocks) -> None:
        self._slot = slot
        self._clock = clocks.monotonic
        self._held_jobs = HeldJobs(slot.envelope, clocks.wall)
        self._executor = Executor(self._held_jobs, zygote, slot.directory, self._clock, self._sign)
        self._blocked_jobs = self._executor.blocked_jobs
        self._most_aside = most_aside(memory.limit_bytes())
        api = slot.api.with_token(slot.granted.token)
        self._beat = Heartbeat(api, slot.outage, self._most_aside)
        self._executor.selector.register(self._beat, selectors.EVENT_READ)
        self._worked_at = self._reported_at = self._retry_at = self._clock()
        self._pause_s = _FIRST_PAUSE_S
        self._resync = False
        self._stopping = False
        self._asked = -1
        self._ask_again_at = 0.0

    def stop(self) -> None:
        """End soon: for signal handlers, so it only leaves a note and wakes the loop."""
        self._stopping = True
        self._slot.api.interrupt()
        self._beat.ring()

    def run(self) -> Exit:
        """Work until idle, dismissed or without a server; answers the exit status."""
        try:
            while not self._stopping:
                self._turn()
            self._farewell()
        except Dismissed as dismissed:
            if dismissed.farewell:
                self._farewell()
        except NotAllowed:
            pass  # the server does not know this slot any more
        except (ZygoteLostError, ChildrenFailError) as trouble:
            sys.stderr.write(f"picloud_worker: no child can run here: {trouble!r}\n")
            self._farewell()
            return Exit.BROKEN
        finally:
            self._beat.close()
        return Exit.DONE

    def _turn(self) -> None:
        holding = self._held_jobs
        if holding.waiting and not holding.given and self._clock() >= self._retry_at:
            self._give()
        if not holding.idle or self._blocked_jobs or self._clock() < self._retry_at:
            self._executor.poll(self._patience())
            self._hear()
            self._judge_head()
        if self._due():
            self._work()
        if self._slot.outage.lost:
            raise Dismissed(farewell=False)

    def _sign(self, entry: Entry) -> JobGrant:
        """The token of a job, for the calls it makes itself."""
        granted, jid = self._slot.granted, entry.lease.first + entry.job.index
        token = JobToken(granted.account, granted.slot, jid, entry.job.attempt)
        return JobGrant(url=self._slot.api.url, token=token.signed(granted.job_key), jid=jid)

    def _give(self) -> None:
        lease = self._held_jobs.waiting[0]
        try:
            self._executor.give(lambda: self._provide(lease))
        except Unavailable:
            self._failed()
        except (BlobMissing, RequestRefused) as error:
            message = f"what the job needs cannot be had: {error.message}"
            failure = bounded(Failure(cause=Cause.ENVIRONMENT, message=message))
            self._held_jobs.refuse(lease, failure)

    def _provide(self, lease: Lease) -> Provision:
        """Fetch what a lease names; the server hears meanwhile that the slot lives."""
        store, bundles = self._slot.store, self._slot.bundles
        wanted = [content.digest for content in _named(lease)]
        there = all(map(store.has, wanted)) and (not lease.bundle or bundles.has(lease.bundle))
        if not there:
            self._beat.name((), tuple(self._held_jobs.held()))
        files = {digest: str(store.path(digest)) for digest in wanted}
        modules = str(bundles.tree(lease.bundle)) if lease.bundle else ""
        return Provision(modules, files)

    def _patience(self) -> float:
        """How long to wait for the child before there is something else to do."""
        now = self._clock()
        if self._held_jobs.idle and not self._blocked_jobs:
            return self._retry_at - now
        tick = TICK_S if len(self._held_jobs.given) > 1 else REST_S
        ends = [tick, self._executor.time_left()]
        age = self._executor.head_age()
        if age < SLOW_S and self._held_jobs.given:
            ends.append(SLOW_S - age)
        if self._held_jobs.ended:
            ends.append(max(self._reported_at + REPORT_S, self._retry_at) - now)
        return min(ends)

    def _hear(self) -> None:
        for answer in self._beat.answers():
            self._obey(answer.kills)
            for held in answer.lost:
                self._executor.lose(held)
            if answer.live:
                self._beat.tell([self._live(asked) for asked in answer.live])
            if answer.work:
                self._asked = -1
            if answer.exit:
                raise Dismissed(farewell=False)

    def _live(self, asked: LiveQuery) -> LiveAnswer:
        """What is known now of a job that somebody asked about; nothing if it is not run here."""
        info = self._executor.live(asked)
        if info is not None and info.ports is not None:
            info = msgspec.structs.replace(info, address=self._slot.api.address)
        return LiveAnswer(asked.number, b"" if info is None else pack_info(info))

    def _obey(self, kills: list[AttemptRef]) -> None:
        for held in kills:
            self._executor.kill(held)

    def _judge_head(self) -> None:
        """A job that has become slow is named by heartbeats, and holds up nobody else."""
        if self._blocked_jobs and self._clock() - self._blocked_jobs.changed_at < SLOW_S:
            return  # they come and go; a heartbeat is for what lasts
        aside, awaiting = tuple(self._blocked_jobs.held()), tuple(self._blocked_jobs.awaiting())
        if self._executor.head_age() < SLOW_S:
            if not self._held_jobs.given or self._blocked_jobs:
                self._beat.name(aside, (), awaiting)
            return
        entry = self._executor.running()
        if entry is None:
            self._beat.name((), tuple(self._held_jobs.held()))
            return
        self._executor.take_back()
        self._held_jobs.hand_back()
        self._beat.name((*aside, entry.held), (), awaiting)

    def _due(self) -> bool:
        now = self._clock()
        if now < self._retry_at:
            return False
        holding = self._held_jobs
        if holding.returned or self._wants():
            return True
        fresh = now < self._reported_at + REPORT_S and not holding.idle
        return bool(holding.ended) and not fresh

    def _wants(self) -> bool:
        """Whether to ask for a lease: with nothing to do, or with all there is waiting for jobs."""
        if not self._held_jobs.idle or not self._blocked_jobs:
            return self._held_jobs.idle
        news = self._asked != self._blocked_jobs.changes or self._clock() >= self._ask_again_at
        if not self._blocked_jobs.blocked or not news:
            return False
        return not is_full(len(self._blocked_jobs), self._most_aside, memory.left_bytes())

    def _work(self) -> None:
        """Tell the server what happened, and ask for more when there is nothing left to do."""
        granted, holding = self._slot.granted, self._held_jobs
        left = self._worked_at + granted.idle_s - self._clock()
        try:
            blob_cache.upload_large(self._slot.api, holding)
            draft = holding.draft()
            wants = self._wants() and draft.complete
            alone = wants and not self._blocked_jobs
            if alone and left <= 0 and not draft.reports:
                raise Dismissed(farewell=True)
            if wants:
                self._executor.check()
                self._asked = self._blocked_jobs.changes
                self._ask_again_at = self._clock() + ASK_AGAIN_S
            # Children that wait may go on at any time: nobody would see to them meanwhile.
            wait_s = min(POLL_S, max(0.0, left)) if alone else 0.0
            answer = self._post(draft, lease=wants, wait_s=wait_s)
        except Unavailable:
            self._failed()
            return
        crashpoint("worker.reported")
        self._reported_at = self._clock()
        if draft.reports or answer.leases:
            self._worked_at = self._clock()
        if answer.leases:
            crashpoint("worker.leased")
            holding.take(answer.leases)
            self._asked = -1
        self._obey(answer.kills)
        if answer.exit:
            raise Dismissed(farewell=False)

    def _post(
        self, draft: PendingReport, *, lease: bool, wait_s: float, leaving: bool = False
    ) -> WorkAnswer:
        request = WorkRequest(
            reports=draft.reports,
            returned=draft.returned,
            holding=self._held_jobs.held() if self._resync or leaving else [],
            lease=lease,
            wait_s=wait_s,
            resync=self._resync,
            leaving=leaving,
            awaiting=self._blocked_jobs.awaiting() if lease else [],
        )
        self._resync = True  # until an answer arrives
        answer = self._slot.api.post("/v1/work", request, WorkAnswer, wait_s)
        self._resync = False
        self._pause_s = _FIRST_PAUSE_S
        self._slot.outage.answered()
        self._held_jobs.acknowledge(draft)
        return answer

    def _failed(self) -> None:
        """The server is away: keep everything, and ask again a little later each time."""
        self._slot.outage.failed()
        self._retry_at = self._clock() + self._pause_s
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)

    def _farewell(self) -> None:
        """Give back what was not begun, and say that this slot ends; said once, heard or not.

        With a job running that would be a lie: it is charged for the loss of its slot, which the
        scheduler tells.
        """
        self._executor.take_back()
        self._held_jobs.hand_back()
        leaving = self._held_jobs.idle and not self._blocked_jobs
        try:
            self._post(self._held_jobs.draft(), lease=False, wait_s=0.0, leaving=leaving)
        except PiCloudError:
            return


def _named(lease: Lease) -> list[Content]:
    """The blobs a lease names."""
    named = [lease.function] if lease.function.data is None else []
    return [*named, lease.pack.content] if lease.pack is not None else named
