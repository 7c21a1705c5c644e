"""What the local scheduler promises after a crash, under other loops, and on other systems."""

import asyncio
import multiprocessing
import os
import signal
import subprocess
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop
from picloud_driver.process import Process, _birth_by_ps, birth_of
from picloud_driver.scheduler import Burst, SlotEnd
from picloud_driver.scheduler.local.scheduler import LocalScheduler

from tests.contract.scheduler_adapters import POOL, Local, next_ends, start_and_die
from tests.polling import DEADLINE_S, eventually

ONE = Burst("pc-1", POOL, 1)
TWO = Burst("pc-1", POOL, 2)


# --- after a restart ------------------------------------------------------------------------------


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is not a slot and leads a session, as slots do."""
    process = subprocess.Popen(["sleep", "600"], start_new_session=True, cwd=tmp_path)
    yield process
    process.kill()
    process.wait()


async def test_a_stranger_is_no_slot(local_site: Local, stranger: subprocess.Popen[bytes]) -> None:
    """A pid that another process has by now is not taken for the slot, nor is it ended."""
    start_and_die(local_site, ONE)
    [slot] = local_site.slots()
    record = next((local_site.root / "slots").glob("*.json"))
    record.write_text(record.read_text().replace(f":{slot.pid},", f":{stranger.pid},"))
    scheduler = local_site.open()

    [end] = await next_ends(scheduler, 1)
    await scheduler.stop("pc-1")

    assert (end.clean, end.detail) == (False, "it ended while no server ran")
    assert stranger.poll() is None


def _start_for_ever(local_site: Local) -> None:
    async def start() -> None:
        scheduler = local_site.open()
        for number in range(10_000):
            await scheduler.start(Burst(f"pc-{number}", POOL, 2))
            await scheduler.stop(f"pc-{number}")

    asyncio.run(start())


@pytest.mark.parametrize("delay_s", [0.0, 0.003, 0.006, 0.009, 0.012])
async def test_a_server_killed_at_any_moment_loses_no_slot(
    local_site: Local, delay_s: float
) -> None:
    """Each slot is the next server's, or ends by itself as it gets no proof."""
    server = multiprocessing.get_context("spawn").Process(
        target=_start_for_ever, args=(local_site,)
    )
    server.start()
    await eventually(lambda: len(local_site.processes()) > 0, "a slot was started")
    await asyncio.sleep(delay_s)
    server.kill()
    await asyncio.to_thread(server.join, DEADLINE_S)
    later = local_site.open()
    known = {presence.burst for presence in await later.slots()}

    await asyncio.gather(*(later.stop(burst) for burst in known))

    await eventually(lambda: not local_site.processes(), "every slot ended")
    await later.close()


# --- other loops and systems ----------------------------------------------------------------------


async def _tell_an_end(local_site: Local, scheduler: LocalScheduler) -> list[SlotEnd]:
    """Kill one of two slots, await its end, stop the other."""
    found = await scheduler.slots()
    os.kill((await local_site.slot(found[0].place)).pid, signal.SIGKILL)
    async with asyncio.timeout(30.0):
        ends = list(await scheduler.ended(30.0))
    await scheduler.stop("pc-1")
    ends += await scheduler.ended(2.0)
    await scheduler.close()
    return ends


def test_ends_are_told_by_uvloop(local_site: Local) -> None:
    """Under the server's own event loop as under asyncio's."""

    async def scenario() -> list[SlotEnd]:
        scheduler = local_site.open()
        await scheduler.start(TWO)
        return await _tell_an_end(local_site, scheduler)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        first, second = runner.run(scenario())

    assert "signal 9" in first.detail
    assert second.detail == "stopped by the server, signal 15 (Terminated)"


def _without_pidfd(
    local_site: Local, scenario: Callable[[Local], Coroutine[Any, Any, None]]
) -> None:
    del os.pidfd_open
    asyncio.run(scenario(local_site))


async def _start_and_tell(local_site: Local) -> None:
    scheduler = local_site.open()
    await scheduler.start(TWO)
    first, second = await _tell_an_end(local_site, scheduler)
    assert "signal 9" in first.detail
    assert "signal 15" in second.detail


async def _adopt_and_tell(local_site: Local) -> None:
    scheduler = local_site.open()
    await scheduler.start(TWO)
    first, second = await _tell_an_end(local_site, scheduler)
    assert "status unknown" in first.detail
    assert not second.clean


@pytest.mark.parametrize("scenario", [_start_and_tell, _adopt_and_tell])
async def test_ends_are_told_without_pidfd(
    local_site: Local, scenario: Callable[[Local], Coroutine[Any, Any, None]]
) -> None:
    """Without pidfds an end is found by polling, also within 2 s."""
    if scenario is _adopt_and_tell:
        start_and_die(local_site, TWO)
    spawn = multiprocessing.get_context("spawn")
    server = spawn.Process(target=_without_pidfd, args=(local_site, scenario))
    server.start()

    await asyncio.to_thread(server.join, DEADLINE_S)

    assert server.exitcode == 0


def test_a_process_is_known_by_its_birth() -> None:
    """Two processes differ in birth, one does not from itself, by /proc and by `ps`."""
    sleeper = subprocess.Popen(["sleep", "600"])
    me = os.getpid()
    births = [birth_of(me), birth_of(me), birth_of(sleeper.pid)]
    by_ps = [_birth_by_ps(me), _birth_by_ps(me)]
    found = Process.find(sleeper.pid, "another birth")
    sleeper.kill()
    sleeper.wait()

    assert births[0] == births[1] != births[2]
    assert None not in births
    assert by_ps[0] == by_ps[1] is not None
    assert found is None
    assert (birth_of(sleeper.pid), _birth_by_ps(sleeper.pid)) == (None, None)
    assert Process.find(sleeper.pid) is None
