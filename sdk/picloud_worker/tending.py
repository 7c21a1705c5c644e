"""Tending: gives jobs to the child, takes what comes back, sees to slow, killed and dead ones."""

from __future__ import annotations

import os
import selectors
import signal
from math import inf
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.job import State

from picloud_worker.children import Child
from picloud_worker.claims import MOST
from picloud_worker.crashpoints import crashpoint
from picloud_worker.ending import Terminating
from picloud_worker.failure import exited, killed, over_time, signalled
from picloud_worker.frames import BrokenFrameError, Errand
from picloud_worker.info import Witness
from picloud_worker.lease import OutOfTurnError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from picloud_model.wire import Failure, Held, Info, LiveAsked

    from picloud_worker.frames import Done
    from picloud_worker.lease import Entry, Holding
    from picloud_worker.nursery import Nursery

TERMINATE_S: Final = 1.0
"""From SIGTERM to SIGKILL."""
NEVER_BEGUN_S: Final = 10.0
"""How long a child may take to begin a job."""
FRUITLESS: Final = 3
"""Children that end before they begin anything, after which this machine is in trouble."""


class FruitlessError(Exception):
    """Children cannot run here."""


class Provision(msgspec.Struct, frozen=True):
    """What leases need beside themselves: the directory of their modules, files of blobs."""

    modules: str
    files: dict[str, str]


class Tender:
    """Keeps one child at work.

    Args:
        holding: The jobs of this slot.
        nursery: Where children come from.
        directory: For the output of children.
        clock: Monotonic seconds.
    """

    def __init__(
        self, holding: Holding, nursery: Nursery, directory: Path, clock: Callable[[], float]
    ) -> None:
        self._holding = holding
        self._nursery = nursery
        self._directory = directory
        self._clock = clock
        self._fruitless = 0
        self._head: tuple[int, int] | None = None
        self._head_since = 0.0
        self._terminating: Terminating | None = None
        self.selector = selectors.DefaultSelector()
        self.selector.register(nursery, selectors.EVENT_READ)
        self._child = self._new_child()

    def give(self, provide: Callable[[], Provision]) -> None:
        """Give waiting jobs to the child if it is free; to a new one if their bundle is another.

        Raises:
            PiCloudError: From `provide`, which makes ready what the first waiting lease needs.
        """
        holding = self._holding
        if holding.given or not holding.waiting:
            return
        self._retire()
        provision = provide()
        bundle = holding.waiting[0].bundle
        if self._child.bundle not in (None, bundle):
            self._replace()
        self._notice_ends()
        child = self._child
        child.bundle = bundle
        child.generation += 1
        leases = holding.errand(child.generation, MOST)
        child.bound_output()
        child.give(Errand(child.generation, provision.modules, leases, provision.files))
        self._head_since = self._clock()

    def attend(self, timeout_s: float) -> None:
        """Wait for something to happen, at most `timeout_s`, and see to it.

        Raises:
            NurseryLostError: When the zygote is gone.
            FruitlessError: When children end without ever beginning a job.
        """
        self._listen()
        self.selector.select(max(0.0, timeout_s))
        self._child.push()
        self._collect()
        self._notice_ends()
        self._retire()
        self._look_after()

    def check(self) -> None:
        """See to children that ended meanwhile, so that there is one when work comes.

        Raises:
            NurseryLostError: When there cannot be one.
        """
        self._notice_ends()

    def head_age(self) -> float:
        """Seconds since the job at the head is there; 0 when there is none."""
        return self._clock() - self._head_since if self._holding.given else 0.0

    def time_left(self) -> float:
        """Seconds until the job that runs has run for as long as it may; infinite mostly."""
        entry = self.running() if self._terminating is None else None
        limit_s = entry.lease.options.max_runtime_s if entry is not None else None
        return inf if limit_s is None else limit_s - self.head_age()

    def _end_late(self, entry: Entry) -> None:
        self.take_back()
        limit_s = entry.lease.options.max_runtime_s
        if limit_s is not None and self._holding.given and self._holding.given[0] is entry:
            self._terminate(entry, over_time(limit_s))

    def running(self) -> Entry | None:
        """The job that the child is in, as far as it is known."""
        return self._holding.running(self._child.begun())

    def live(self, asked: LiveAsked) -> Info | None:
        """What can be seen of a job that runs here; None when it does not, or not any more."""
        self._collect()
        begun, entry = self._child.begun(), self.running()
        if begun is None or entry is None or entry.held != asked.job:
            return None
        return self._witness.live(begun, asked.since)

    def take_back(self) -> None:
        """Take from the child what it has not begun; it waits here again."""
        self._collect()
        self._holding.take_back(self._child.take_back())

    def kill(self, held: Held) -> None:
        """The user killed a job: it ends at once, or is told to if it runs."""
        entry = self._withdrawn(held)
        if entry is None:
            self._holding.kill(held)
        else:
            self._terminate(entry, killed())

    def _terminate(self, entry: Entry, why: Failure) -> None:
        """Tell the job that runs to end; it is ended by force if it does not."""
        if self._terminating is None:
            self._terminating = Terminating(entry, why, self._clock() + TERMINATE_S)
            self._child.signal(signal.SIGTERM)

    def lose(self, held: Held) -> None:
        """A job is not this slot's any more: it ends, and nothing is said of it."""
        entry = self._withdrawn(held)
        if entry is None:
            self._holding.forget(held)
        else:
            self._holding.given.popleft()
            self._replace()

    def _withdrawn(self, held: Held) -> Entry | None:
        """The job if a child has begun it; after this, whatever is not begun waits here."""
        if not any(entry.held == held for entry in self._holding.given):
            return None
        self.take_back()
        head = self._holding.given[0] if self._holding.given else None
        return head if head is not None and head.held == held else None

    def _new_child(self) -> Child:
        child = Child(self._nursery, self._directory)
        self._witness = Witness(child, self._clock)
        self.selector.register(child.control, selectors.EVENT_READ)
        self._head = None
        self._terminating = None
        return child

    def _replace(self) -> None:
        """End the child with all that it started; what it was given waits for a new one."""
        self._child.signal(signal.SIGKILL)
        self._let_go()
        self._holding.child_ended(None)

    def _let_go(self) -> None:
        for fileno in (self._child.control, self._child.results):
            if fileno in self.selector.get_map():
                self.selector.unregister(fileno)
        self._child.close()
        self._child = self._new_child()

    def _listen(self) -> None:
        """Choose what to wait for: mostly only to be woken."""
        child, selector = self._child, self.selector
        partial = child.results in selector.get_map()
        if child.partial and not partial:
            selector.register(child.results, selectors.EVENT_READ)
        elif partial and not child.partial:
            selector.unregister(child.results)
        if not child.hung_up:
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if child.pushing else 0)
            if selector.get_key(child.control).events != events:
                selector.modify(child.control, events)
        elif child.control in selector.get_map():
            selector.unregister(child.control)

    def _collect(self) -> None:
        try:
            for done in self._child.collect():
                self._done(done)
        except (BrokenFrameError, OutOfTurnError):
            # Its word is worth nothing any more. The job it is in is charged when its end is told.
            self._child.signal(signal.SIGKILL)

    def _done(self, done: Done) -> None:
        crashpoint("worker.begun")
        crashpoint("worker.ran")
        self._fruitless = 0
        ended = done.ended
        info = self._witness.ended(done.generation, done.position, done.note)
        if info is not None:
            ended = msgspec.structs.replace(ended, info=info)
        if self._terminating is not None and ended.state != State.DONE:
            ended = self._terminating.told(ended)
        self._holding.done(done.generation, done.position, ended)

    def _retire(self) -> None:
        """A child that was told to end a job is not used again once it has."""
        if self._terminating is not None:
            given = self._holding.given
            if not given or given[0] is not self._terminating.entry:
                self._replace()

    def _notice_ends(self) -> None:
        for cell, status in self._nursery.ended():
            if cell == self._child.cell:
                self._child_ended(status)

    def _child_ended(self, status: int) -> None:
        child = self._child
        self._collect()
        begun = child.begun()
        victim = self._holding.child_ended(begun)
        if begun is None:
            self._fruitless += 1
            if self._fruitless >= FRUITLESS:
                raise FruitlessError
        if victim is not None:
            failure = self._told(status, child.last_words())
            started_at = begun.started_at if begun else 0.0
            info = self._witness.died(begun)
            self._holding.end(victim.lease.batch, victim.job, failure, started_at, info)
        self._let_go()

    def _told(self, status: int, output: str) -> Failure:
        if self._terminating is not None:
            return msgspec.structs.replace(self._terminating.why, traceback=output)
        if os.WIFSIGNALED(status):
            return signalled(os.WTERMSIG(status), output)
        return exited(os.waitstatus_to_exitcode(status), output)

    def _look_after(self) -> None:
        begun = self._child.begun()
        head = (begun.generation, begun.position) if begun else None
        now = self._clock()
        self._witness.look(begun)
        if head != self._head:
            self._head, self._head_since = head, now
            if head is not None:
                crashpoint("worker.begun")
        if self._terminating is not None and now >= self._terminating.force_at:
            self._child.signal(signal.SIGKILL)
        entry = self._holding.running(begun)
        if entry is not None and self.time_left() <= 0:
            self._end_late(entry)
        stuck = self._holding.given and entry is None
        if stuck and now - self._head_since > NEVER_BEGUN_S:
            self._child.signal(signal.SIGKILL)
        self._child.bound_output()
