"""Submit, lease, report, kill and delete over two API processes are linearizable, among faults."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import tempfile
from collections import defaultdict
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from picloud_model.errors import JobDeleted, RequestConflict, Unavailable

from tests.unit.api.api_harness import ACCOUNT, ApiHarness, RecordingScheduler, report_of
from tests.unit.api.faulty_ports import Faults, faulty
from tests.unit.api.linearizability import Seen, is_linearizable
from tests.unit.api.recording_state import SharedRecordingState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from picloud_api import wiring
    from picloud_api.engine.process.slot_sessions import SlotSession
    from picloud_api.store.records import Event
    from picloud_model.wire import Lease

JOBS = 3
SEEN = {"queued": "open", "processing": "open", "done": "done", "killed": "killed"}
OPERATION = st.tuples(
    st.sampled_from(["read", "kill", "delete", "work", "work"]),
    st.integers(0, 1),
    st.integers(0, JOBS - 1),
)
"""What, at which process, on which job or by which slot."""


class Process(ApiHarness):
    """One of two API processes over one store, some of whose requests fail."""

    def __init__(self, root: Path, state: SharedRecordingState, faults: Faults) -> None:
        super().__init__(root)
        self._shared = state
        self._faults = faults

    def ports(self) -> wiring.Ports:
        own = super().ports()
        self._own = own.state
        return faulty(msgspec.structs.replace(own, state=self._shared), self._faults)

    async def stop(self) -> None:
        await super().stop()
        await self._own.close()


class Run:
    """Operations at two processes, and what was seen of each job."""

    def __init__(self, root: Path, seed: int) -> None:
        self.faults = Faults(seed)
        self.state = SharedRecordingState(root / "shared.sqlite")
        scheduler = RecordingScheduler()
        self.processes = []
        for name in ("one", "two"):
            (root / name).mkdir()
            process = Process(root / name, self.state, self.faults)
            process.scheduler = scheduler
            self.processes.append(process)
        self.now = itertools.count()
        self.seen: dict[int, list[Seen]] = defaultdict(list)
        self.slots: list[tuple[SlotSession, list[Lease]]] = []
        self.jids = range(0)

    async def start(self) -> None:
        """Start both processes, whose changes the other one is notified of, and register slots."""
        for process in self.processes:
            await process.start()
        for one, other in (self.processes, self.processes[::-1]):
            one.server.context.commits.listen(partial(self._notify, other))
        self.slots = [(await process.slot(), []) for process in self.processes]
        self.faults.delays, self.faults.chance = 2, 0.1
        request = self.processes[0].request(JOBS)
        made = await asyncio.gather(*(persist(each.send, request) for each in self.processes))
        assert made[0] == made[1], "a repeated submit has the same jids"
        self.jids = made[0]

    def _notify(self, other: Process, event: Event) -> None:
        task = asyncio.ensure_future(other.server.background.events.on_remote_events([event]))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def stop(self) -> None:
        """Stop both processes."""
        self.faults.delays, self.faults.chance = 0, 0.0
        for process in self.processes:
            with suppress(sqlite3.ProgrammingError):
                await process.stop()

    async def together(self, operations: Iterable[tuple[str, int, int]]) -> None:
        """Do some operations at the same time; a slot sends one request after the other."""
        busy: set[int] = set()
        tasks = []
        for what, process, number in operations:
            if what == "work":
                slot = number % len(self.slots)
                if slot not in busy:
                    tasks.append(self._work(self.processes[process], slot))
                busy.add(slot)
            else:
                tasks.append(self._on_job(what, self.processes[process], self.jids[number]))
        await asyncio.gather(*tasks)

    async def _on_job(self, what: str, process: Process, jid: int) -> None:
        began = next(self.now)
        answer: str | None
        try:
            answer = await getattr(self, f"_{what}")(process, jid)
        except JobDeleted:
            answer = "deleted"
        except RequestConflict:
            answer = "refused"
        except Unavailable:
            answer = None
        self.seen[jid].append(seen(what, answer, began, next(self.now)))

    async def _read(self, process: Process, jid: int) -> str:
        return SEEN[(await process.statuses(range(jid, jid + 1)))[0]]

    async def _kill(self, process: Process, jid: int) -> str:
        await process.use_cases.jobs.kill.kill(ACCOUNT, [(jid, jid)])
        return "killed"

    async def _delete(self, process: Process, jid: int) -> str:
        answer = await process.use_cases.jobs.delete.delete(ACCOUNT, [(jid, jid)])
        return "done" if answer.count else "deleted"

    async def _work(self, process: Process, slot: int) -> None:
        session, leases = self.slots[slot]
        reported = [
            (lease.first + job.index, job.attempt) for lease in leases for job in lease.jobs
        ]
        reports = [report_of(lease) for lease in leases]
        began = next(self.now)
        taken: list[Lease] = []
        answer: str | None = "ok"
        try:
            taken = (await process.work(session, reports=reports)).leases
            leases[:] = taken
        except Unavailable:
            answer = None  # the slot reports the same again
        ended = next(self.now)
        for jid, attempt in reported:
            self.seen[jid].append(seen("report", answer, began, ended, attempt))
        for lease in taken:
            for job in lease.jobs:
                taking = seen("lease", "ok", began, ended, job.attempt)
                self.seen[lease.first + job.index].append(taking)


async def persist(send: Callable[[Any], Awaitable[range]], request: Any) -> range:
    """Send a request until it is answered, as a client does."""
    while True:
        try:
            return await send(request)
        except Unavailable:
            await asyncio.sleep(0)


async def run(seed: int, groups: list[list[tuple[str, int, int]]]) -> dict[int, list[Seen]]:
    """Do groups of operations, each at the same time; return what was seen of each job."""
    with tempfile.TemporaryDirectory() as root:
        made = Run(Path(root), seed)
        await made.start()
        try:
            for group in groups:
                await made.together(group)
        finally:
            await made.stop()
        return made.seen


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 2**32),
    groups=st.lists(st.lists(OPERATION, min_size=1, max_size=4), min_size=4, max_size=10),
)
def test_what_two_processes_show_is_linearizable(
    seed: int, groups: list[list[tuple[str, int, int]]]
) -> None:
    """Some order of the operations on each job explains all answers, although many run at once and
    requests and answers are lost.
    """
    for jid, history in asyncio.run(run(seed, groups)).items():
        assert is_linearizable(history), (jid, sorted(history))


def seen(what: str, answer: str | None, began: int, ended: int, attempt: int = 0) -> Seen:
    """Return an operation."""
    return Seen(began=began, ended=ended, what=what, answer=answer, attempt=attempt)


KILLED = seen("kill", "killed", 0, 1)


@pytest.mark.parametrize(
    ("history", "is_possible"),
    [
        ([seen("lease", "ok", 0, 1, 1), seen("report", "ok", 2, 3, 1)], True),
        ([seen("lease", "ok", 0, 1, 1), seen("lease", "ok", 2, 3, 2)], False),
        ([KILLED, seen("lease", "ok", 2, 3, 1)], False),
        ([seen("kill", "killed", 0, 4), seen("lease", "ok", 2, 3, 1)], True),
        ([seen("kill", None, 0, 1), seen("read", "killed", 8, 9)], True),
        ([seen("read", "killed", 0, 1), seen("read", "open", 2, 3)], False),
        ([KILLED, seen("read", "killed", 1, 2), seen("read", "open", 3, 4)], False),
        ([KILLED, seen("delete", "refused", 2, 3)], True),
        ([KILLED, seen("read", "killed", 2, 3), seen("delete", "refused", 4, 5)], False),
        ([seen("delete", "done", 0, 1)], False),
        ([seen("read", "done", 0, 1)], False),
    ],
)
def test_the_check_finds_what_cannot_be(history: list[Seen], is_possible: bool) -> None:
    """Answers that no order explains are found, and no others."""
    assert is_linearizable(history) == is_possible
