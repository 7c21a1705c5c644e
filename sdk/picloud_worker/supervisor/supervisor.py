"""The supervisor of a slot: talks with the server and keeps a child at work.

It never runs user code. In a loop it gives waiting jobs to the child, polls it, and reports to the
server. A request is due when the slot is idle (then it reports and waits for the next lease at
once), when results are 50 ms old, or when jobs are to be handed back.
"""

from __future__ import annotations

import contextlib
import selectors
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
    AttemptRef,
    Failure,
    HeartbeatAnswer,
    HeartbeatRequest,
    JobGrant,
    SlotGranted,
    WorkAnswer,
    WorkRequest,
)

from picloud_worker.api.client import ApiClient
from picloud_worker.api.outage import Outage
from picloud_worker.failure import bounded
from picloud_worker.ipc.frames import Provision
from picloud_worker.mount.bucket_mount import BucketMount
from picloud_worker.supervisor.blob_cache import BlobCache, offload
from picloud_worker.supervisor.blocked_jobs import is_full, most_blocked
from picloud_worker.supervisor.bundle import Bundles
from picloud_worker.supervisor.executor import ChildrenFailError, SlotExecutor
from picloud_worker.supervisor.heartbeat import Heartbeat, SlotJobs
from picloud_worker.supervisor.lease import HeldJobs, blobs_of, ref_of
from picloud_worker.system import memory
from picloud_worker.system.disk import write_log
from picloud_worker.system.packages import InstalledPackages
from picloud_worker.tunnel.job_streams import JobStreams
from picloud_worker.zygote.client import ZygoteLostError

if TYPE_CHECKING:
    from picloud_model.wire import Lease

    from picloud_worker.supervisor.lease import Entry, PendingReport
    from picloud_worker.zygote.client import ZygoteClient

POLL_S: Final = 20.0
"""How long the server holds a request for work."""
REPORT_S: Final = 0.05
"""The age at which results are reported while more of them come."""
SLOW_S: Final = 0.2
"""The age at which a running job is slow: the jobs behind it go back, and heartbeats start."""
TICK_S: Final = 0.025
"""How often results are collected while jobs follow each other."""
REST_S: Final = 0.25
"""How often the child is polled during a long job, whose end wakes the supervisor."""
ASK_AGAIN_S: Final = 2.0
"""How often a slot with only blocked jobs asks for work; the heartbeat says when there is some."""
_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 1.0


class Exit(IntEnum):
    """The exit status of a worker."""

    DONE = 0
    """The slot is idle, was dismissed, or has lost its server."""
    BROKEN = 1
    """This machine cannot run jobs, or the worker has a bug."""


class Dismissed(Exception):
    """The slot is to end; with `farewell` it says goodbye to the server first."""

    def __init__(self, *, farewell: bool) -> None:
        super().__init__()
        self.farewell = farewell


class GrantedSlot(msgspec.Struct, frozen=True, kw_only=True):
    """What a granted slot works with."""

    granted: SlotGranted
    api: ApiClient
    outage: Outage
    blobs: BlobCache
    bundles: Bundles
    packages: InstalledPackages
    directory: Path
    envelope: Envelope
    mount: BucketMount


class Clocks(msgspec.Struct, frozen=True):
    """Time: `wall` in seconds since the epoch, `monotonic` in seconds since any moment."""

    wall: Callable[[], float]
    monotonic: Callable[[], float]


class Supervisor:
    """Runs the jobs of one slot until nothing is left to do."""

    def __init__(self, slot: GrantedSlot, zygote: ZygoteClient, clocks: Clocks) -> None:
        self._slot = slot
        self._clock = clocks.monotonic
        self._held_jobs = HeldJobs(slot.envelope, clocks.wall)
        self._executor = SlotExecutor(
            self._held_jobs, zygote, slot.directory, self._clock, self._sign, mount=slot.mount
        )
        self._blocked_jobs = self._executor.blocked_jobs
        slot.api.on_wait = self._executor.watch_idle
        self._most_blocked = most_blocked(memory.limit_bytes())
        api = slot.api.with_token(slot.granted.token)
        self._heartbeat = Heartbeat(api, slot.outage, self._most_blocked)
        self._streams = JobStreams(api.url, zygote, self._executor.find)
        self._executor.selector.register(self._heartbeat, selectors.EVENT_READ)
        self._worked_at = self._reported_at = self._retry_at = self._clock()
        self._is_surplus = False  # by the last answer: it has no job, and need not stay
        self._pause_s = _FIRST_PAUSE_S
        self._resync = self._stopping = False
        self._changes_at_request = -1
        self._ask_again_at = 0.0

    def stop(self) -> None:
        """End the slot soon; safe in signal handlers, as it sets a flag and wakes the loop."""
        self._stopping = self._held_jobs.closing = True
        self._slot.api.interrupt()
        self._heartbeat.wake()

    def run(self) -> Exit:
        """Work until the slot is idle, dismissed or without a server."""
        try:
            while not self._stopping:
                self._turn()
            self._farewell()
        except Dismissed as dismissed:
            if dismissed.farewell:
                self._farewell()
        except NotAllowed:
            pass  # the server no longer knows this slot
        except (ZygoteLostError, ChildrenFailError) as error:
            write_log(f"no child can run here: {error!r}")
            self._farewell()
            return Exit.BROKEN
        finally:
            self._heartbeat.close()
        return Exit.DONE

    def _turn(self) -> None:
        held_jobs = self._held_jobs
        if held_jobs.waiting and not held_jobs.given and self._clock() >= self._retry_at:
            self._check_packages()
            self._assign()
        if not held_jobs.idle or self._blocked_jobs or self._clock() < self._retry_at:
            self._executor.poll(self._patience())
            self._handle_heartbeat_answers()
            self._check_slow_head()
            self._streams.end_unless(self._executor.find)
        if self._is_request_due():
            self._work()
        if self._slot.outage.lost:
            raise Dismissed(farewell=False)

    def _check_packages(self) -> None:
        """End the slot before it runs jobs with packages that were replaced since it started.

        Its child may have imported the old ones, and so may the zygote and this process. The jobs
        go to a new slot. If jobs wait here for others, the slot ends once these are done.
        """
        if self._slot.packages.have_changed() and not self._blocked_jobs:
            raise Dismissed(farewell=True)

    def _sign(self, entry: Entry) -> JobGrant:
        """Make the token of a job, for the calls it makes itself."""
        granted, jid = self._slot.granted, entry.lease.first + entry.job.index
        token = JobToken(granted.account, granted.slot, jid, entry.job.attempt)
        return JobGrant(url=self._slot.api.url, token=token.signed(granted.job_key), jid=jid)

    def _assign(self) -> None:
        lease = self._held_jobs.waiting[0]
        try:
            if lease.announced and not self._announce(lease):
                return
            self._executor.assign(lambda: self._provide(lease))
        except Unavailable:
            self._back_off()
        except (BlobMissing, RequestRefused) as error:
            message = f"what the job needs cannot be had: {error.message}"
            failure = bounded(Failure(cause=Cause.ENVIRONMENT, message=message))
            self._held_jobs.refuse(lease, failure)

    def _announce(self, lease: Lease) -> bool:
        """Report the job of a lease as running; return whether it may start.

        Raises:
            Unavailable: When the server has not confirmed it.
        """
        blocked_jobs = self._blocked_jobs
        request = HeartbeatRequest(
            running=[*blocked_jobs.refs(), ref_of(lease, lease.jobs[0])],
            wait_s=0.0,
            awaiting=list(blocked_jobs.blocked_on()),
        )
        answer = self._slot.api.post("/v1/heartbeat", request, HeartbeatAnswer)
        self._slot.outage.answered()
        self._pause_s = _FIRST_PAUSE_S
        self._handle_heartbeat_answer(answer)
        return bool(self._held_jobs.waiting) and self._held_jobs.waiting[0] is lease

    def _provide(self, lease: Lease) -> Provision:
        """Fetch what a lease needs; heartbeats report meanwhile that the slot is alive."""
        blobs, bundles = self._slot.blobs, self._slot.bundles
        digests = [content.digest for content in blobs_of(lease)]
        is_here = all(map(blobs.has, digests)) and (not lease.bundle or bundles.has(lease.bundle))
        if lease.options.secrets or not is_here:
            self._heartbeat.report(SlotJobs(holding=tuple(self._held_jobs.refs())))
        files = {digest: str(path) for digest, path in blobs.paths(digests).items()}
        modules = str(bundles.tree(lease.bundle)) if lease.bundle else ""
        secrets = self._slot.api.secrets(lease) if lease.options.secrets else []
        shared = blobs.files()
        self._held_jobs.takes_files = shared is not None
        return Provision(modules, files, secrets, "" if shared is None else shared.incoming)

    def _patience(self) -> float:
        """How long to wait for the child before there is something else to do."""
        now = self._clock()
        if self._held_jobs.idle and not self._blocked_jobs:
            return self._retry_at - now
        tick = TICK_S if len(self._held_jobs.given) > 1 else REST_S
        waits = [tick, self._executor.time_left()]
        age = self._executor.head_age()
        if age < SLOW_S and self._held_jobs.given:
            waits.append(SLOW_S - age)
        if self._held_jobs.ended:
            waits.append(max(self._reported_at + REPORT_S, self._retry_at) - now)
        return min(waits)

    def _handle_heartbeat_answers(self) -> None:
        for answer in self._heartbeat.answers():
            self._handle_heartbeat_answer(answer)

    def _handle_heartbeat_answer(self, answer: HeartbeatAnswer) -> None:
        self._kill(answer.kills)
        for ref in answer.lost:
            self._executor.lose(ref)
        if answer.live:
            self._heartbeat.answer_queries(self._streams.answer(answer.live, self._executor.live))
        if answer.work:
            self._changes_at_request = -1
        if answer.exit:
            raise Dismissed(farewell=False)

    def _kill(self, kills: list[AttemptRef]) -> None:
        for ref in kills:
            self._executor.kill(ref)

    def _check_slow_head(self) -> None:
        """Report a slow job by heartbeats, and hand back the jobs behind it."""
        blocked_jobs = self._blocked_jobs
        if blocked_jobs and self._clock() - blocked_jobs.changed_at < SLOW_S:
            return  # they come and go; heartbeats report what lasts
        refs, blocked_on = blocked_jobs.refs(), blocked_jobs.blocked_on()
        if self._executor.head_age() < SLOW_S:
            if blocked_jobs or not self._held_jobs.given:
                self._heartbeat.report(SlotJobs(running=refs, blocked_on=blocked_on))
            return
        job = self._executor.running()
        if job is None:
            self._heartbeat.report(SlotJobs(holding=tuple(self._held_jobs.refs())))
            return
        self._executor.take_back()
        self._held_jobs.hand_back()
        self._heartbeat.report(SlotJobs(running=(*refs, job.entry.ref), blocked_on=blocked_on))

    def _is_request_due(self) -> bool:
        now = self._clock()
        if now < self._retry_at:
            return False
        held_jobs = self._held_jobs
        if held_jobs.returned or self._wants_lease():
            return True
        is_fresh = now < self._reported_at + REPORT_S and not held_jobs.idle
        return bool(held_jobs.ended) and not is_fresh

    def _wants_lease(self) -> bool:
        """Whether to ask for a lease: an idle slot does, or one whose jobs are all blocked."""
        blocked_jobs = self._blocked_jobs
        if not self._held_jobs.idle or not blocked_jobs:
            return self._held_jobs.idle
        has_changed = self._changes_at_request != blocked_jobs.changes
        if not blocked_jobs.all_blocked or not (has_changed or self._clock() >= self._ask_again_at):
            return False
        return not is_full(len(blocked_jobs), self._most_blocked, memory.left_bytes())

    def _work(self) -> None:
        """Report to the server, and ask for a lease when nothing is left to do."""
        granted, held_jobs = self._slot.granted, self._held_jobs
        idle_left_s = self._worked_at + granted.idle_s - self._clock()
        try:
            for at, report in held_jobs.large():
                held_jobs.settle(at, offload(self._slot.api, report, self._slot.blobs.files()))
            pending = held_jobs.pending_report()
            wants_lease = self._wants_lease() and pending.complete
            is_idle = wants_lease and not self._blocked_jobs
            if self._is_surplus and is_idle and idle_left_s <= 0 and not pending.reports:
                raise Dismissed(farewell=True)
            if wants_lease:
                self._executor.settle()
                self._changes_at_request = self._blocked_jobs.changes
                self._ask_again_at = self._clock() + ASK_AGAIN_S
            # Blocked jobs may continue at any time, and nothing polls them during a request.
            wait_s = min(POLL_S, max(0.0, idle_left_s)) if is_idle else 0.0
            answer = self._post(pending, lease=wants_lease, wait_s=wait_s)
        except Unavailable:
            self._back_off()
            return
        except RequestRefused as error:
            message = f"the server refused the report of the job: {error.message}"
            failure = bounded(Failure(cause=Cause.PAYLOAD, message=message))
            if not held_jobs.refuse_reports(pending, failure):
                raise
            return
        crashpoint("worker.reported")
        self._reported_at = self._clock()
        self._is_surplus = wants_lease and not (answer.leases or answer.stay)
        if pending.reports or answer.leases or answer.stay:
            self._worked_at = self._clock()
        if answer.leases:
            crashpoint("worker.leased")
            held_jobs.take(answer.leases)
            self._changes_at_request = -1
        self._kill(answer.kills)
        if answer.exit:
            raise Dismissed(farewell=False)

    def _post(
        self, pending: PendingReport, *, lease: bool, wait_s: float, leaving: bool = False
    ) -> WorkAnswer:
        request = WorkRequest(
            reports=pending.reports,
            returned=pending.returned,
            stopped=pending.stopped,
            holding=self._held_jobs.refs() if self._resync or leaving else [],
            lease=lease,
            wait_s=wait_s,
            resync=self._resync,
            leaving=leaving,
            awaiting=list(self._blocked_jobs.blocked_on()) if lease else [],
        )
        self._resync = True  # until an answer arrives
        answer = self._slot.api.post("/v1/work", request, WorkAnswer, wait_s)
        self._resync = False
        self._pause_s = _FIRST_PAUSE_S
        self._slot.outage.answered()
        self._held_jobs.acknowledge(pending)
        return answer

    def _back_off(self) -> None:
        """Keep everything while the server is away, and ask again after a growing pause."""
        self._slot.outage.failed()
        self._retry_at = self._clock() + self._pause_s
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)

    def _farewell(self) -> None:
        """Hand back the jobs, and report once that this slot leaves.

        A slot that is stopped from outside ends its running jobs, which may run again elsewhere.
        Otherwise it does not say that it leaves while a job runs: the job is charged for the loss
        of its slot, which the scheduler reports.
        """
        self._slot.api.resume()
        if self._stopping:
            with contextlib.suppress(ZygoteLostError):
                self._executor.stop()
        else:
            self._executor.take_back()
            self._held_jobs.hand_back()
        leaving = self._held_jobs.idle and not self._blocked_jobs
        try:
            pending = self._held_jobs.pending_report()
            self._post(pending, lease=False, wait_s=0.0, leaving=leaving)
        except PiCloudError:
            return
