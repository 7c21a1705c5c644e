"""Children set aside: their jobs wait for other jobs, which the slot runs meanwhile.

Only the job that a child is in stays with it; what it was given beside goes back. When that job has
ended the child is free again, and spared: it has imported what such jobs need.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace
from picloud_model.job import State
from picloud_model.wire import MAX_BLOCKED_JOBS, BlockedOn

from picloud_worker.failure import killed, over_time
from picloud_worker.ipc.frames import BrokenFrameError
from picloud_worker.supervisor.lease import OutOfTurnError
from picloud_worker.supervisor.termination import Termination, exit_failure
from picloud_worker.system import memory

if TYPE_CHECKING:
    from collections.abc import Callable

    from picloud_model.wire import AttemptRef, Failure, JidRange, JobSocketRequest

    from picloud_worker.supervisor.child_process import ChildProcess
    from picloud_worker.supervisor.job_socket import JobSocket
    from picloud_worker.supervisor.lease import Entry, HeldJobs

MOST_SPARES: Final = 2
ASIDE_BYTES: Final = 16 * 1024 * 1024
"""What a child set aside takes of its slot's memory: half of it, where a job imports little."""
_SHARE: Final = 0.7
"""How much of the slot's memory they may take together; the rest is for the one that runs."""
NEXT_BYTES: Final = 32 * 1024 * 1024
"""What has to be left of a slot's memory before another child may begin beside those that wait."""
TERMINATE_S: Final = 1.0
"""From SIGTERM to SIGKILL."""


def most_aside(limit: int | None) -> int:
    """How many children a slot may set aside that has so many bytes of memory, None for no limit.

    >>> most_aside(None), most_aside(300 * 1024 * 1024)
    (32, 13)
    """
    if limit is None:
        return MAX_BLOCKED_JOBS
    return max(1, min(MAX_BLOCKED_JOBS, int(limit * _SHARE / ASIDE_BYTES)))


def is_short(left: int | None) -> bool:
    """Whether so many bytes are too little for one more child; None where nothing limits them.

    >>> is_short(None), is_short(NEXT_BYTES), is_short(NEXT_BYTES - 1)
    (False, False, True)
    """
    return left is not None and left < NEXT_BYTES


def is_full(waiting: int, most: int, left: int | None) -> bool:
    """Whether a slot in which some jobs wait may run no other beside them.

    Args:
        waiting: How many wait.
        most: How many may.
        left: Bytes of memory that are left; None where nothing limits them.

    >>> is_full(3, 13, None), is_full(3, 13, NEXT_BYTES), is_full(3, 13, NEXT_BYTES - 1)
    (False, False, True)
    """
    return waiting >= most or is_short(left)


class BlockedJob:
    """A child with the one job it is in; `jids` are awaited, or None once that runs again."""

    def __init__(
        self, child: ChildProcess, entry: Entry, said: JobSocketRequest, began_at: float
    ) -> None:
        self.child = child
        self.entry = entry
        self.began_at = began_at
        self.jids: list[JidRange] | None = said.awaiting
        self.timed = said.timed
        self.terminating: Termination | None = None

    def terminate(self, why: Failure, now: float) -> None:
        """Tell it to end, unless it was told before."""
        if self.terminating is None:
            self.terminating = Termination(self.entry, why, now + TERMINATE_S)
            self.child.signal(signal.SIGTERM)


class BlockedJobs:
    """The children set aside, oldest first, and the spare ones.

    Args:
        holding: The jobs of this slot.
        clock: Monotonic seconds.
    """

    def __init__(self, holding: HeldJobs, clock: Callable[[], float]) -> None:
        self._held_jobs = holding
        self._clock = clock
        self._aside: list[BlockedJob] = []
        self._spares: list[ChildProcess] = []
        self.changes = 0
        """Counted up whenever one begins to wait, goes on or ends."""
        self.changed_at = 0.0

    def __len__(self) -> int:
        return len(self._aside)

    def __bool__(self) -> bool:
        return bool(self._aside)

    @property
    def blocked(self) -> bool:
        """Whether there are children here and none of them runs."""
        return bool(self._aside) and all(each.jids is not None for each in self._aside)

    def held(self) -> list[AttemptRef]:
        """The jobs that are here."""
        return [each.entry.held for each in self._aside]

    def awaiting(self) -> list[BlockedOn]:
        """What the blocked ones wait for."""
        return [
            BlockedOn(each.entry.held, each.jids, each.timed)
            for each in self._aside
            if each.jids is not None
        ]

    def add(
        self, child: ChildProcess, entry: Entry, said: JobSocketRequest, began_at: float
    ) -> None:
        """Set a child aside with the job it is in, which began at a time of the clock."""
        self._aside.append(BlockedJob(child, entry, said, began_at))
        self._changed()

    def waiting(self, line: JobSocket, said: JobSocketRequest | None) -> bool:
        """Note what a child here waits for; None: it runs again. False where it is not here."""
        for each in self._aside:
            if each.child.line is line:
                each.jids = None if said is None else said.awaiting
                each.timed = said is not None and said.timed
                self._changed()
                return True
        return False

    def entry(self, line: JobSocket) -> Entry | None:
        """The job of the child with this line."""
        return next((each.entry for each in self._aside if each.child.line is line), None)

    def child(self, held: AttemptRef) -> ChildProcess | None:
        """The child that a job is in."""
        each = self._of(held)
        return None if each is None else each.child

    def spare(self, bundle: str | None) -> ChildProcess | None:
        """A child that has nothing to do, for a bundle; with None the one that came last."""
        for child in reversed(self._spares):
            if bundle is None or child.bundle == bundle:
                self._spares.remove(child)
                return child
        return None

    def keep(self, child: ChildProcess) -> None:
        """Spare a child that has nothing to do; too many are ended, the oldest first."""
        self._spares.append(child)
        if len(self._spares) > MOST_SPARES or is_short(memory.left_bytes()):
            self._end(self._spares.pop(0))

    def poll(self) -> None:
        """Take what ended, and end by force what does not listen."""
        for each in list(self._aside):
            self._collect(each)
            if each in self._aside:
                each.child.listen()
                each.child.bound_output()
                each.child.monitor.look(each.child.begun())
                self._end_late(each)
        for child in self._spares:
            self._drain(child)

    def _end_late(self, each: BlockedJob) -> None:
        """Tell a job to end that has run for as long as it may; by force one that was told."""
        now, limit_s = self._clock(), each.entry.lease.options.max_runtime_s
        if limit_s is not None and now - each.began_at >= limit_s:
            each.terminate(over_time(limit_s), now)
        if each.terminating is not None and now >= each.terminating.force_at:
            each.child.signal(signal.SIGKILL)

    def kill(self, held: AttemptRef) -> bool:
        """Tell a job to end; False where it is not here."""
        each = self._of(held)
        if each is not None:
            each.terminate(killed(), self._clock())
        return each is not None

    def lose(self, held: AttemptRef) -> bool:
        """End a job that is not this slot's any more; False where it is not here."""
        each = self._of(held)
        if each is not None:
            self._remove(each)
            self._held_jobs.aside.remove(each.entry)
            self._end(each.child)
        return each is not None

    def ended(self, child_index: int, status: int) -> None:
        """A child is gone that is here, or was."""
        for child in [child for child in self._spares if child.child_index == child_index]:
            self._spares.remove(child)
            child.close()
        for each in [each for each in self._aside if each.child.child_index == child_index]:
            self._collect(each)
            if each in self._aside:
                self._remove(each)
                self._held_jobs.aside.remove(each.entry)
                self._charge(each, status)
                each.child.close()
            elif each.child in self._spares:
                self._spares.remove(each.child)
                each.child.close()

    def _charge(self, each: BlockedJob, status: int) -> None:
        entry, begun = each.entry, each.child.begun()
        failure = exit_failure(each.child, status, each.terminating)
        started_at = begun.started_at if begun else 0.0
        info = each.child.monitor.died(begun)
        self._held_jobs.end(entry.lease.batch, entry.job, failure, started_at, info)

    def _collect(self, each: BlockedJob) -> None:
        try:
            for done in each.child.collect():
                ended, terminating = done.ended, each.terminating
                info = each.child.monitor.ended(done.generation, done.position, done.stats)
                if info is not None:
                    ended = replace(ended, info=info)
                if terminating is not None and ended.state != State.DONE:
                    ended = terminating.apply_to(ended)
                self._held_jobs.aside_done(each.entry, done.generation, done.position, ended)
                self._remove(each)
                if terminating is None:
                    self.keep(each.child)
                else:
                    self._end(each.child)
                return
        except (BrokenFrameError, OutOfTurnError):
            each.child.signal(signal.SIGKILL)

    def _drain(self, child: ChildProcess) -> None:
        """Hear that a spare child hangs up, as one does that ends itself; it has nothing to say."""
        try:
            if any(True for _ in child.collect()):
                child.signal(signal.SIGKILL)
        except BrokenFrameError:
            child.signal(signal.SIGKILL)
        child.listen()

    def _of(self, held: AttemptRef) -> BlockedJob | None:
        return next((each for each in self._aside if each.entry.held == held), None)

    def _remove(self, each: BlockedJob) -> None:
        self._aside.remove(each)
        self._changed()

    def _changed(self) -> None:
        self.changes += 1
        self.changed_at = self._clock()

    def _end(self, child: ChildProcess) -> None:
        child.signal(signal.SIGKILL)
        child.close()
