"""Tending: gives jobs to the child, takes what comes back, sees to slow, killed and dead ones."""

from __future__ import annotations

import selectors
import signal
from math import inf
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.crashpoints import crashpoint
from picloud_model.job import State

from picloud_worker.failure import killed, over_time
from picloud_worker.ipc.claims import MOST
from picloud_worker.ipc.frames import Assignment, BrokenFrameError
from picloud_worker.supervisor.blocked_jobs import TERMINATE_S, BlockedJobs
from picloud_worker.supervisor.child_process import ChildProcess
from picloud_worker.supervisor.lease import OutOfTurnError
from picloud_worker.supervisor.termination import Termination, exit_failure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from picloud_model.wire import AttemptRef, Failure, Info, JobGrant, JobSocketRequest, LiveQuery

    from picloud_worker.ipc.frames import JobDone
    from picloud_worker.supervisor.job_socket import JobSocket
    from picloud_worker.supervisor.lease import Entry, HeldJobs
    from picloud_worker.zygote.client import ZygoteClient

NEVER_BEGUN_S: Final = 10.0
"""How long a child may take to begin a job."""
FRUITLESS: Final = 3
"""Children that end before they begin anything, after which this machine is in trouble."""


class ChildrenFailError(Exception):
    """Children cannot run here."""


class Provision(msgspec.Struct, frozen=True):
    """What leases need beside themselves: the directory of their modules, files of blobs."""

    modules: str
    files: dict[str, str]


class Executor:
    """Keeps one child at work, beside those that wait for other jobs.

    Args:
        holding: The jobs of this slot.
        zygote: Where children come from.
        directory: For the output of children.
        clock: Monotonic seconds.
        sign: Makes the token of a job that asks for it.
    """

    def __init__(
        self,
        holding: HeldJobs,
        zygote: ZygoteClient,
        directory: Path,
        clock: Callable[[], float],
        sign: Callable[[Entry], JobGrant],
    ) -> None:
        self._held_jobs = holding
        self._zygote = zygote
        self._directory = directory
        self._clock = clock
        self._sign = sign
        self.blocked_jobs = BlockedJobs(holding, clock)
        self._fruitless = 0
        self._head: tuple[int, int] | None = None
        self._head_since = 0.0
        self._terminating: Termination | None = None
        self.selector = selectors.DefaultSelector()
        self.selector.register(zygote, selectors.EVENT_READ)
        self._child = self._new_child()

    def give(self, provide: Callable[[], Provision]) -> None:
        """Give waiting jobs to the child if it is free; to a new one if their bundle is another.

        Raises:
            PiCloudError: From `provide`, which makes ready what the first waiting lease needs.
        """
        holding = self._held_jobs
        if holding.given or not holding.waiting:
            return
        self._retire()
        provision = provide()
        bundle = holding.waiting[0].bundle
        self._choose_child(bundle)
        self._notice_ends()
        child = self._child
        child.bundle = bundle
        child.generation += 1
        leases = holding.assign(child.generation, MOST)
        child.bound_output()
        child.give(Assignment(child.generation, provision.modules, leases, provision.files))
        self._head_since = self._clock()

    def _choose_child(self, bundle: str) -> None:
        if self._child.bundle == bundle:
            return
        spare = self.blocked_jobs.spare(bundle)
        if spare is not None:
            if self._child.bundle is None:
                self.blocked_jobs.keep(self._child)
            else:
                self._end_child()
            self._take(spare)
        elif self._child.bundle is not None:
            self._replace()

    def poll(self, timeout_s: float) -> None:
        """Wait for something to happen, at most `timeout_s`, and see to it.

        Raises:
            ZygoteLostError: When the zygote is gone.
            ChildrenFailError: When children end without ever beginning a job.
        """
        self._child.listen()
        for key, _ in self.selector.select(max(0.0, timeout_s)):
            if key.data is not None:
                key.data()
        self._child.push()
        self._collect()
        self._notice_ends()
        self._retire()
        self._check_child()
        self.blocked_jobs.poll()

    def grant(self, line: JobSocket) -> JobGrant | None:
        """The token of the job that a child is in, or None where it is in none."""
        entry = self.blocked_jobs.entry(line)
        if entry is None and line is self._child.line:
            self._collect()
            entry = self.running()
        return None if entry is None else self._sign(entry)

    def waiting(self, line: JobSocket, said: JobSocketRequest | None) -> None:
        """A job waits for others: its child is set aside, so that the slot can run them."""
        if self.blocked_jobs.waiting(line, said) or said is None or line is not self._child.line:
            return
        self.take_back()
        self._held_jobs.hand_back()
        if self.running() is not None and self._terminating is None:
            self._zygote.preload()
            entry = self._held_jobs.set_aside()
            self.blocked_jobs.add(self._child, entry, said, self._head_since)
            self._take(self.blocked_jobs.spare(None) or self._new_child())

    def check(self) -> None:
        """See to children that ended meanwhile, so that there is one when work comes.

        Raises:
            ZygoteLostError: When there cannot be one.
        """
        self._notice_ends()

    def head_age(self) -> float:
        """Seconds since the job at the head is there; 0 when there is none."""
        return self._clock() - self._head_since if self._held_jobs.given else 0.0

    def time_left(self) -> float:
        """Seconds until the job that runs has run for as long as it may; infinite mostly."""
        entry = self.running() if self._terminating is None else None
        limit_s = entry.lease.options.max_runtime_s if entry is not None else None
        return inf if limit_s is None else limit_s - self.head_age()

    def _end_late(self, entry: Entry) -> None:
        self.take_back()
        limit_s = entry.lease.options.max_runtime_s
        if limit_s is not None and self._held_jobs.given and self._held_jobs.given[0] is entry:
            self._terminate(entry, over_time(limit_s))

    def running(self) -> Entry | None:
        """The job that the child is in, as far as it is known."""
        return self._held_jobs.running(self._child.begun())

    def live(self, asked: LiveQuery) -> Info | None:
        """What can be seen of a job that runs here; None when it does not, or not any more."""
        self._collect()
        if (aside := self.blocked_jobs.child(asked.job)) is not None:
            begun = aside.begun()
            return None if begun is None else aside.monitor.live(begun, asked.since)
        begun, entry = self._child.begun(), self.running()
        if begun is None or entry is None or entry.held != asked.job:
            return None
        return self._child.monitor.live(begun, asked.since)

    def take_back(self) -> None:
        """Take from the child what it has not begun; it waits here again."""
        self._collect()
        self._held_jobs.take_back(self._child.take_back())

    def kill(self, held: AttemptRef) -> None:
        """The user killed a job: it ends at once, or is told to if it runs."""
        if self.blocked_jobs.kill(held):
            return
        entry = self._withdrawn(held)
        if entry is None:
            self._held_jobs.kill(held)
        else:
            self._terminate(entry, killed())

    def _terminate(self, entry: Entry, why: Failure) -> None:
        """Tell the job that runs to end; it is ended by force if it does not."""
        if self._terminating is None:
            self._terminating = Termination(entry, why, self._clock() + TERMINATE_S)
            self._child.signal(signal.SIGTERM)

    def lose(self, held: AttemptRef) -> None:
        """A job is not this slot's any more: it ends, and nothing is said of it."""
        if self.blocked_jobs.lose(held):
            return
        entry = self._withdrawn(held)
        if entry is None:
            self._held_jobs.forget(held)
        else:
            self._held_jobs.given.popleft()
            self._replace()

    def _withdrawn(self, held: AttemptRef) -> Entry | None:
        """The job if a child has begun it; after this, whatever is not begun waits here."""
        if not any(entry.held == held for entry in self._held_jobs.given):
            return None
        self.take_back()
        head = self._held_jobs.given[0] if self._held_jobs.given else None
        return head if head is not None and head.held == held else None

    def _new_child(self) -> ChildProcess:
        self._head = None
        self._terminating = None
        return ChildProcess(self._zygote, self._directory, self.selector, self, self._clock)

    def _take(self, child: ChildProcess) -> None:
        self._child = child
        self._head = None
        self._terminating = None

    def _end_child(self) -> None:
        self._child.signal(signal.SIGKILL)
        self._child.close()

    def _replace(self) -> None:
        """End the child with all that it started; what it was given waits for a new one."""
        self._end_child()
        self._take(self._new_child())
        self._held_jobs.child_ended(None)

    def _collect(self) -> None:
        try:
            for done in self._child.collect():
                self._done(done)
        except (BrokenFrameError, OutOfTurnError):
            # Its word is worth nothing any more. The job it is in is charged when its end is told.
            self._child.signal(signal.SIGKILL)

    def _done(self, done: JobDone) -> None:
        crashpoint("worker.begun")
        crashpoint("worker.ran")
        self._fruitless = 0
        ended = done.ended
        info = self._child.monitor.ended(done.generation, done.position, done.stats)
        if info is not None:
            ended = msgspec.structs.replace(ended, info=info)
        if self._terminating is not None and ended.state != State.DONE:
            ended = self._terminating.apply_to(ended)
        self._held_jobs.done(done.generation, done.position, ended)

    def _retire(self) -> None:
        """A child that was told to end a job is not used again once it has."""
        if self._terminating is not None:
            given = self._held_jobs.given
            if not given or given[0] is not self._terminating.entry:
                self._replace()

    def _notice_ends(self) -> None:
        for child_index, status in self._zygote.ended():
            if child_index == self._child.child_index:
                self._child_ended(status)
            else:
                self.blocked_jobs.ended(child_index, status)

    def _child_ended(self, status: int) -> None:
        child = self._child
        self._collect()
        begun = child.begun()
        victim = self._held_jobs.child_ended(begun)
        if begun is None:
            self._fruitless += 1
            if self._fruitless >= FRUITLESS:
                raise ChildrenFailError
        if victim is not None:
            failure = exit_failure(child, status, self._terminating)
            started_at = begun.started_at if begun else 0.0
            info = child.monitor.died(begun)
            self._held_jobs.end(victim.lease.batch, victim.job, failure, started_at, info)
        child.close()
        self._take(self._new_child())

    def _check_child(self) -> None:
        begun = self._child.begun()
        head = (begun.generation, begun.position) if begun else None
        now = self._clock()
        self._child.monitor.look(begun)
        if head != self._head:
            self._head, self._head_since = head, now
            if head is not None:
                crashpoint("worker.begun")
        if self._terminating is not None and now >= self._terminating.force_at:
            self._child.signal(signal.SIGKILL)
        entry = self._held_jobs.running(begun)
        if entry is not None and self.time_left() <= 0:
            self._end_late(entry)
        stuck = self._held_jobs.given and entry is None
        if stuck and now - self._head_since > NEVER_BEGUN_S:
            self._child.signal(signal.SIGKILL)
        self._child.bound_output()
