"""The states of jobs under random events: rules that hold whatever happens, in any order."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from picloud_api.store import layout
from picloud_model import wire
from picloud_model.job import FINAL, MAX_LOSSES, UNDER_LEASE, State, may_move
from picloud_model.page import PAGE_JOBS

from tests.unit.api.api_harness import ACCOUNT, ApiHarness, report_of

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from picloud_api.engine.process.slot_sessions import SlotSession
    from picloud_model.page import Page

REACHABLE = {
    (before, after)
    for before in State
    for middle in State
    for after in State
    if before == after
    or may_move(before, after)
    or (may_move(before, middle) and may_move(middle, after))
}
"""Moves that one request can make: up to two of the table, as one may begin and end a lease."""


class JobStates(RuleBasedStateMachine):
    """Submits, slots that work or are lost, kills and restarts, against one real server."""

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.new_event_loop()
        self._root = tempfile.TemporaryDirectory()
        self.api = ApiHarness(Path(self._root.name))
        self.run(self.api.start())
        self.jids: list[range] = []
        self.batches: dict[str, range] = {}
        self.slots: dict[int, tuple[SlotSession, list[wire.Lease]]] = {}
        self.started = 0
        self.stale: list[tuple[SlotSession, wire.Report]] = []
        self.before: dict[int, State] = {}
        self.finals: dict[int, tuple[str, int, bytes | None]] = {}

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine to its end, and one turn of the loop after it."""

        async def whole() -> Any:
            answer = await work
            await asyncio.sleep(0)
            return answer

        return self._loop.run_until_complete(whole())

    def teardown(self) -> None:
        self.run(self.api.stop())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()
        self._root.cleanup()

    @rule(
        count=st.sampled_from([1, 2, 7, 1003]),
        function=st.sampled_from("fg"),
        once=st.booleans(),
    )
    def submit(self, count: int, function: str, once: bool) -> None:
        request = self.api.request(count, function=function, restartable=not once)
        jids = self.run(self.api.send(request))
        assert jids == self.run(self.api.send(request))
        assert not self.jids or jids[0] == self.jids[-1][-1] + 1
        self.jids.append(jids)
        self.batches[request.submit_id] = jids

    @rule()
    def start_slot(self) -> None:
        # Numbered in order: a slot's own number is random, and a failure must be reproducible.
        self.started += 1
        self.slots[self.started] = (self.run(self.api.slot()), [])

    @precondition(lambda self: self.slots)
    @rule(data=st.data(), seconds=st.sampled_from([0.00001, 0.01, 1.0]), failed=st.booleans())
    def report_and_lease(self, data: st.DataObject, seconds: float, failed: bool) -> None:
        session, leases = self.slots[data.draw(st.sampled_from(sorted(self.slots)))]
        state = State.ERROR if failed else State.DONE
        reports = [report_of(lease, state, seconds) for lease in leases]
        answer = self.run(self.api.work(session, reports=reports))
        self.stale += [(session, report) for report in reports]
        leases[:] = answer.leases

    @precondition(lambda self: self.slots)
    @rule(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        session, leases = self.slots[data.draw(st.sampled_from(sorted(self.slots)))]
        running = [
            wire.AttemptRef(lease.batch, lease.jobs[0].index, lease.jobs[0].attempt)
            for lease in leases[:1]
        ]
        beat = wire.HeartbeatRequest(running=running, wait_s=0)
        self.run(self.api.use_cases.slots.heartbeat.heartbeat(session, beat))

    @precondition(lambda self: self.slots)
    @rule(data=st.data())
    def hand_back(self, data: st.DataObject) -> None:
        session, leases = self.slots[data.draw(st.sampled_from(sorted(self.slots)))]
        returned = [
            wire.AttemptRef(lease.batch, job.index, job.attempt)
            for lease in leases
            for job in lease.jobs
        ]
        self.run(self.api.work(session, returned=returned, lease=False))
        leases.clear()

    @precondition(lambda self: self.slots)
    @rule(data=st.data())
    def lose_slot(self, data: st.DataObject) -> None:
        session, leases = self.slots.pop(data.draw(st.sampled_from(sorted(self.slots))))
        self.run(self.api.lose(session))
        self.stale += [(session, report_of(lease)) for lease in leases]

    @precondition(lambda self: self.stale)
    @rule(data=st.data())
    def late_report(self, data: st.DataObject) -> None:
        session, report = data.draw(st.sampled_from(self.stale))
        self.run(self.api.work(session, reports=[report], lease=False))

    @precondition(lambda self: self.jids)
    @rule(data=st.data())
    def kill(self, data: st.DataObject) -> None:
        jids = data.draw(st.sampled_from(self.jids))
        jid = data.draw(st.sampled_from([jids[0], jids[-1]]))
        self.run(self.api.use_cases.jobs.kill.kill(ACCOUNT, [(jid, jid)]))

    @rule()
    def restart(self) -> None:
        """Restart the server after kill -9: the slots live on and keep their leases."""
        self.run(self.api.stop())
        self.run(self.api.start())
        sessions = {}
        for name, (session, leases) in list(self.slots.items()):
            sessions[session.number] = self.run(self.api.reconnect(session))
            self.slots[name] = (sessions[session.number], leases)
        self.stale = [
            (sessions[session.number], report)
            for session, report in self.stale
            if session.number in sessions
        ]

    @invariant()
    def moves_follow_the_table(self) -> None:
        for jid, state, losses in self.states():
            before = self.before.get(jid, State.QUEUED)
            assert (before, state) in REACHABLE or before == state
            assert before not in FINAL or state == before
            assert losses <= MAX_LOSSES
            self.before[jid] = state

    @invariant()
    def results_never_change(self) -> None:
        for jids in self.jids:
            for jid, outcome in self.run(self.api.outcomes(jids)).items():
                result = (outcome.status, outcome.cause, outcome.payload)
                assert self.finals.setdefault(jid, result) == result

    @invariant()
    def each_job_is_free_or_held(self) -> None:
        """Each unfinished job is free to be leased, or a live slot holds it."""
        live = {session.number for session, _ in self.slots.values()}
        for batch in self.batches:
            for page in self.pages(batch):
                for index, state in enumerate(page.state):
                    if state in UNDER_LEASE:
                        assert page.slot[index] in live
                    else:
                        assert page.slot[index] == 0

    @invariant()
    def finished_batches_are_closed(self) -> None:
        """The ready marker exists exactly as long as a batch has unfinished jobs."""
        for batch in self.batches:
            pages = self.pages(batch)
            marker = self.run(
                self.api.server.context.commits.view.get(layout.ready(ACCOUNT, batch))
            )
            still_open = sum(1 for page in pages if page.open)
            assert (marker.open_pages if marker else 0) == still_open

    def pages(self, batch: str) -> list[Page]:
        view = self.api.server.context.commits.view
        count = -(-len(self.batches[batch]) // PAGE_JOBS)
        page_ids = [layout.PageId(ACCOUNT, batch, number) for number in range(count)]
        return [self.run(view.get(layout.page(page_id))) for page_id in page_ids]

    def states(self) -> list[tuple[int, State, int]]:
        return [
            (jids[0] + number * PAGE_JOBS + index, State(state), page.losses[index])
            for batch, jids in self.batches.items()
            for number, page in enumerate(self.pages(batch))
            for index, state in enumerate(page.state)
        ]


JobStates.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestJobStates = JobStates.TestCase


def test_every_drained_map_is_done_once(tmp_path: Path) -> None:
    """However often slots are lost, each job of a map ends once, with its own argument."""

    async def drain() -> None:
        api = await ApiHarness(tmp_path).start()
        jids = await api.submit(300)
        turn = 0
        while set(await api.statuses(jids)) & {"queued", "processing"}:
            slot = await api.slot()
            for _ in range(20):
                leases = (await api.work(slot)).leases
                await api.work(slot, reports=[report_of(each) for each in leases], lease=False)
            turn += 1
            await api.work(slot)
            await api.lose(slot)
        outcomes = await api.outcomes(jids)
        assert len(outcomes) == 300
        assert turn > 0
        for jid, outcome in outcomes.items():
            assert outcome.payload is not None
            assert bytes(outcome.payload[8:]) == str(jid - jids[0]).encode()
        await api.stop()

    asyncio.run(drain())
