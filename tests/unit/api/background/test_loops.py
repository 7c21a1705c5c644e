"""The loops of a server: which of them run on which stack, and that none of them ends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar

import pytest
from picloud_api.background.loops import Loop, repeat
from picloud_model.errors import Unavailable

from tests.unit.api.recording_state import BoundedState

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness
    from tests.unit.api.conftest import StartApi


class Runs:
    """A run that counts itself, and begins with some failures."""

    def __init__(self, *failures: Exception) -> None:
        self.count = 0
        self._failures = list(failures)
        self.enough = asyncio.Event()

    async def run(self) -> None:
        self.count += 1
        if self._failures:
            raise self._failures.pop(0)
        if self.count >= 3:
            self.enough.set()


async def repeated(loop: Loop, runs: Runs, timeout_s: float = 10.0) -> None:
    """Repeat a loop until it has run three times."""
    task = asyncio.create_task(repeat(loop, retry_s=0.001))
    try:
        async with asyncio.timeout(timeout_s):
            await runs.enough.wait()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_loop_runs_again_and_again() -> None:
    """Until it is cancelled."""
    runs = Runs()

    await repeated(Loop(run=runs.run), runs)

    assert runs.count >= 3


@pytest.mark.parametrize("failure", [Unavailable("away"), ValueError("a bug")])
async def test_a_loop_survives_every_failure(failure: Exception) -> None:
    """A loop that ended would leave jobs in limbo."""
    runs = Runs(failure)

    await repeated(Loop(run=runs.run), runs)

    assert runs.count >= 3


async def test_the_pause_comes_before_the_first_run_unless_it_is_at_once() -> None:
    """At a start, most things were just done."""
    late, early = Runs(), Runs()

    for runs, at_once in ((late, False), (early, True)):
        with pytest.raises(TimeoutError):
            await repeated(Loop(run=runs.run, every_s=60.0, at_once=at_once), runs, 0.01)

    assert (late.count, early.count) == (0, 1)


def test_a_store_of_its_own_needs_no_leader_and_no_notifier(api: ApiHarness) -> None:
    """On the embedded stack nothing is published, locked or sealed."""
    background = api.server.background
    needed = {loop.run for loop in background.loops() if loop.needed}

    assert background.reaper.resync in needed
    assert background.deadlock.resolve in needed
    assert not needed & {
        background.notifier.listen,
        background.notifier.publish,
        background.leader.lead,
        background.sealer.seal_if_leader,
    }


class SharedBoundedState(BoundedState):
    """One that other processes write to and that must stay small, like Consul."""

    shared: ClassVar[bool] = True


async def test_a_shared_and_bounded_store_needs_every_loop(start_api: StartApi) -> None:
    """The hashicorp stack runs all of them, except that which its operator has to ask for."""
    api = await start_api(SharedBoundedState)
    background = api.server.background

    unneeded = [loop.run for loop in background.loops() if not loop.needed]

    assert unneeded == [background.retention.delete_if_leader]


async def test_a_started_background_serves_and_stops(api: ApiHarness) -> None:
    """Its loops queue and place what is submitted; after a stop nothing runs on."""
    await api.server.background.start()
    await api.submit(1)
    slot = await api.slot()

    assert (await api.work(slot)).leases
    await api.server.background.stop()

    assert all(task.done() for task in api.server.background._tasks)


async def test_jobs_are_deleted_as_soon_as_a_server_starts(api: ApiHarness) -> None:
    """A server that never runs for an hour deletes what is too old, too."""
    background = api.server.background
    (loop,) = (
        loop for loop in background.loops() if loop.run == background.retention.delete_if_leader
    )

    assert loop.at_once
