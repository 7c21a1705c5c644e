"""What every scheduler promises: the sentences of `SchedulerPort`, one test each.

A new adapter joins by a class like `Local` in the list of sites. `test_scheduler_local.py` holds
what only the local adapter promises.
"""

import asyncio
import itertools
import os
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest
from picloud_driver.scheduler import Burst, Placement, Pool, SchedulerPort, SlotEnd, SlotPresence
from picloud_model.core import CORE_TYPES
from picloud_model.errors import RequestRefused, SlotRefused, Unavailable

from tests.contract.deadline import until
from tests.contract.scheduler_site import URL, Local, Site, runs, start_and_die

POOL = Pool("a0000001", "c1", 1)
LONG_S = 20.0
ENDS_WITHIN_S = 2.0


@pytest.fixture(params=[Local])
async def site(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Site]:
    """Where slots can run, none of which is left afterwards."""
    made: Site = request.param(tmp_path)
    yield made
    await made.kill_all()


@pytest.fixture
async def scheduler(site: Site) -> AsyncIterator[SchedulerPort]:
    """A port on an idle site of each kind."""
    opened = site.open()
    yield opened
    await opened.close()


async def started(scheduler: SchedulerPort, burst: str = "pc-1", count: int = 1) -> list[str]:
    """The places of a burst just started."""
    await scheduler.start(Burst(burst, POOL, count))
    return await places(scheduler, burst)


async def places(scheduler: SchedulerPort, burst: str) -> list[str]:
    """The places of a burst that are there now."""
    return [found.place for found in await scheduler.presences() if found.burst == burst]


async def next_ends(scheduler: SchedulerPort, count: int = 1) -> list[SlotEnd]:
    """The next so many ends, in the order of their places."""
    ends: list[SlotEnd] = []
    async with asyncio.timeout(LONG_S):
        while len(ends) < count:
            ends += await scheduler.ended(LONG_S)
    return sorted(ends, key=lambda end: end.place)


@contextmanager
def standard_input(file: IO[bytes]) -> Iterator[None]:
    """Let this process read its standard input from a file."""
    kept = os.dup(0)
    os.dup2(file.fileno(), 0)
    try:
        yield
    finally:
        os.dup2(kept, 0)
        os.close(kept)


# --- what a slot is -------------------------------------------------------------------------------


async def test_a_slot_knows_the_api_and_itself(site: Site, scheduler: SchedulerPort) -> None:
    """A slot gets the API's URL, its place and a proof that the scheduler accepts."""
    [place] = await started(scheduler)

    slot = await site.slot(place)

    assert (slot.seen["url"], slot.seen["place"]) == (URL, place)
    assert await scheduler.verify(slot.proof) == Placement("pc-1", place, POOL)


async def test_nobody_else_can_read_the_proof(site: Site, scheduler: SchedulerPort) -> None:
    """The proof is in no argument, no environment and no file that a slot is started with."""
    [place] = await started(scheduler)
    slot = await site.slot(place)

    shown = [slot.arguments, slot.environment, site.files_of(place)]

    assert [text for text in shown if slot.proof.encode() in text] == []


async def test_a_slot_inherits_no_environment(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the server's environment is in the slot's but what finds programs and clocks."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary-77")
    monkeypatch.setenv("PYTHONPATH", "/canary-77")
    scheduler = site.open()
    [place] = await started(scheduler)

    environment = (await site.slot(place)).environment
    await scheduler.close()

    assert b"canary-77" not in environment
    names = {entry.partition(b"=")[0] for entry in environment.split(b"\0") if entry}
    assert names <= {b"PATH", b"HOME", b"LANG", b"TZ", b"PYTHONUSERBASE"}


async def test_a_slot_inherits_no_files(site: Site, scheduler: SchedulerPort) -> None:
    """Of open files a slot has the standard ones, none of them the server's, and its proof."""
    with tempfile.TemporaryFile() as leaked, standard_input(leaked):
        os.set_inheritable(leaked.fileno(), True)  # noqa: FBT003 - the system's own
        [place] = await started(scheduler)
        slot = await site.slot(place)

    descriptors = slot.seen["descriptors"]
    own = {os.readlink(f"/proc/self/fd/{number}") for number in range(3)}  # noqa: PTH115

    assert set(descriptors) == {"0", "1", "2", str(slot.seen["proof_fd"])}
    assert descriptors["0"] == "/dev/null"
    assert descriptors[str(slot.seen["proof_fd"])].startswith("pipe:")
    assert not {descriptors["1"], descriptors["2"]} & own


async def test_slots_outlive_their_server(site: Site) -> None:
    """Slots of a server that was killed live, and are the next server's slots."""
    assert start_and_die(site, Burst("pc-1", POOL, 2)) == -signal.SIGKILL
    later = site.open()

    found = await places(later, "pc-1")
    proofs = [(await site.slot(place)).proof for place in found]
    verified = [await later.verify(proof) for proof in proofs]
    os.kill((await site.slot(found[0])).pid, signal.SIGKILL)
    [end] = await next_ends(later)
    await later.stop("pc-1")

    assert verified == [Placement("pc-1", place, POOL) for place in found]
    assert (len(found), end.place, end.clean) == (2, found[0], False)
    assert await later.presences() == []
    await later.close()


# --- start ----------------------------------------------------------------------------------------


async def test_a_burst_is_so_many_slots(site: Site, scheduler: SchedulerPort) -> None:
    """`start` brings up the slots asked for, each at a place of its own, each running."""
    first = await started(scheduler, "pc-1", 3)
    second = await started(scheduler, "pc-2", 1)

    pids = {(await site.slot(place)).pid for place in first + second}

    assert (len(set(first)), len(second), len(pids)) == (3, 1, 4)


async def test_asking_again_starts_nothing(site: Site, scheduler: SchedulerPort) -> None:
    """The same burst, asked for again, at once or later, starts nothing more."""
    burst = Burst("pc-1", POOL, 2)
    await asyncio.gather(*(scheduler.start(burst) for _ in range(3)))
    before = await places(scheduler, "pc-1")

    await scheduler.start(burst)

    assert len(before) == 2
    assert await places(scheduler, "pc-1") == before


async def test_asking_again_after_a_restart_starts_nothing(site: Site) -> None:
    """Nor does it when another server process started the burst and died."""
    burst = Burst("pc-1", POOL, 2)
    start_and_die(site, burst)
    later = site.open()

    await later.start(burst)

    assert len(await places(later, "pc-1")) == 2
    await later.close()


async def test_asking_again_after_the_end_starts_nothing(
    site: Site, scheduler: SchedulerPort
) -> None:
    """Nor when its slots have ended, and their end was heard of."""
    [place] = await started(scheduler)
    (await site.slot(place)).tell("exit 0")
    await next_ends(scheduler)
    await scheduler.ended(0)

    assert await started(scheduler) == []


@pytest.mark.parametrize("core_type", ["", "c9", "C1"])
async def test_an_unknown_core_type_is_refused(scheduler: SchedulerPort, core_type: str) -> None:
    """A core type no machine offers is refused by a sentence with those that are offered."""
    burst = Burst("pc-1", Pool("a0000001", core_type, 1), 1)

    with pytest.raises(RequestRefused, match="c1, c2, f2, m1, s1"):
        await scheduler.start(burst)

    assert await scheduler.presences() == []


@pytest.mark.parametrize(
    "name", ["", "../x", "a/b", "-x", "a b", "a\n", "é", "${node.id}", "x" * 129]
)
async def test_a_burst_is_named_safely(scheduler: SchedulerPort, name: str) -> None:
    """A name that would be unsafe in a path, a URL or a jobspec is refused."""
    with pytest.raises(RequestRefused):
        await scheduler.start(Burst(name, POOL, 1))


# --- stop -----------------------------------------------------------------------------------------


async def test_stop_ends_every_slot_of_a_burst(site: Site, scheduler: SchedulerPort) -> None:
    """After `stop` no process of the burst is left; other bursts go on."""
    stopped = await started(scheduler, "pc-1", 2)
    [kept] = await started(scheduler, "pc-2")
    pids = [(await site.slot(place)).pid for place in stopped]

    await scheduler.stop("pc-1")

    assert [pid for pid in pids if runs(pid)] == []
    assert [found.place for found in await scheduler.presences()] == [kept]


async def test_stop_ends_what_does_not_listen(site: Site, scheduler: SchedulerPort) -> None:
    """A slot that ignores SIGTERM, one that is frozen, and what they started end as well."""
    deaf, frozen = [await site.slot(place) for place in await started(scheduler, "pc-1", 2)]
    await deaf.obey("deaf")
    child = int(await deaf.obey("child"))
    os.kill(frozen.pid, signal.SIGSTOP)

    await scheduler.stop("pc-1")

    await until(lambda: not runs(child), "the slot's child ended")
    assert (deaf.runs, frozen.runs) == (False, False)


@pytest.mark.parametrize("burst", ["pc-unknown", "", "../x"])
async def test_stopping_an_unknown_burst_is_no_error(scheduler: SchedulerPort, burst: str) -> None:
    """Nothing is to end, so nothing happens."""
    await scheduler.stop(burst)


async def test_stopping_an_ended_burst_is_no_error(site: Site, scheduler: SchedulerPort) -> None:
    """A burst may end while it is stopped, or be stopped twice."""
    [place] = await started(scheduler)
    (await site.slot(place)).tell("exit 0")
    await next_ends(scheduler)

    await scheduler.stop("pc-1")
    await scheduler.stop("pc-1")


async def test_a_burst_stopped_while_it_starts_is_stopped(scheduler: SchedulerPort) -> None:
    """No slot of a burst comes up after `stop` has answered."""
    starting = asyncio.create_task(scheduler.start(Burst("pc-1", POOL, 50)))
    await asyncio.sleep(0)
    assert len(await scheduler.presences()) == 1

    await scheduler.stop("pc-1")
    await starting

    assert await scheduler.presences() == []


# --- verify ---------------------------------------------------------------------------------------


async def test_forged_proofs_are_refused(site: Site, scheduler: SchedulerPort) -> None:
    """What the scheduler has not made, or what was changed since, proves nothing."""
    [place] = await started(scheduler)
    slot = await site.slot(place)

    for forged in (
        "",
        "x",
        "a.b.c",
        "é",
        slot.proof[:-8],
        slot.proof + "A",
        *site.forge(slot.proof),
    ):
        with pytest.raises(SlotRefused):
            await scheduler.verify(forged)


async def test_an_expired_proof_is_refused(site: Site, scheduler: SchedulerPort) -> None:
    """A proof past its time is worth nothing, though its slot lives."""
    [place] = await started(scheduler)
    slot = await site.slot(place)

    with pytest.raises(SlotRefused):
        await scheduler.verify(site.expire(slot.proof))


async def test_a_proof_ends_with_its_place(site: Site, scheduler: SchedulerPort) -> None:
    """The proof of a place that has ended is refused, at once and ever after."""
    [place] = await started(scheduler)
    slot = await site.slot(place)
    slot.kill()

    with pytest.raises(SlotRefused):
        await scheduler.verify(slot.proof)
    await next_ends(scheduler)
    with pytest.raises(SlotRefused):
        await site.open().verify(slot.proof)


# --- presences and ended --------------------------------------------------------------------------


async def test_presences_are_what_runs(site: Site, scheduler: SchedulerPort) -> None:
    """Every place that runs is listed with its burst, and no place that has ended."""
    kept, ended = await started(scheduler, "pc-1", 2)
    (await site.slot(ended)).tell("exit 0")
    await next_ends(scheduler)

    assert list(await scheduler.presences()) == [SlotPresence("pc-1", kept, running=True)]


async def test_a_killed_slot_is_told_soon(site: Site, scheduler: SchedulerPort) -> None:
    """The end of a slot killed by SIGKILL is answered within 2 s, and is not clean."""
    [place] = await started(scheduler)
    slot = await site.slot(place)
    waiting = asyncio.create_task(next_ends(scheduler))
    await asyncio.sleep(0)
    killed = time.monotonic()
    os.kill(slot.pid, signal.SIGKILL)

    [end] = await waiting

    assert time.monotonic() - killed < ENDS_WITHIN_S
    assert (end.burst, end.place, end.clean) == ("pc-1", place, False)
    assert "signal 9" in end.detail


@pytest.mark.parametrize("status", [0, 1, 3])
async def test_clean_is_exit_status_0(site: Site, scheduler: SchedulerPort, status: int) -> None:
    """A slot that exits with 0 ended clean, and with any other status not, and that is told."""
    [place] = await started(scheduler)
    slot = await site.slot(place)
    await slot.obey("say the last words")
    slot.tell(f"exit {status}")

    [end] = await next_ends(scheduler)

    assert end.clean is (status == 0)
    assert (f"exit status {status}" in end.detail) is (status != 0)
    assert ("the last words" in end.detail) is (status != 0)


async def test_no_end_in_time_is_an_empty_answer(scheduler: SchedulerPort) -> None:
    """While nothing ends, `ended` answers [] after its timeout, not before."""
    await started(scheduler)
    began = time.monotonic()

    assert list(await scheduler.ended(0.2)) == []
    assert 0.2 <= time.monotonic() - began < ENDS_WITHIN_S


async def test_each_end_is_answered_once(site: Site, scheduler: SchedulerPort) -> None:
    """Several waiters at once hear of each end once, in all."""
    found = await started(scheduler, "pc-1", 4)
    slots = [await site.slot(place) for place in found]
    waiting = [asyncio.create_task(scheduler.ended(2.0)) for _ in range(3)]
    for slot in slots:
        slot.tell("exit 0")

    answers = itertools.chain(*await asyncio.gather(*waiting))
    rest = await scheduler.ended(0.1)

    assert sorted(end.place for end in (*answers, *rest)) == sorted(found)


async def test_an_end_is_not_lost_by_giving_up(site: Site, scheduler: SchedulerPort) -> None:
    """A waiter that is cancelled takes no end with it."""
    [place] = await started(scheduler)
    slot = await site.slot(place)
    waiting = asyncio.create_task(scheduler.ended(LONG_S))
    await asyncio.sleep(0)

    waiting.cancel()
    await asyncio.wait([waiting])
    slot.tell("exit 0")

    assert [end.place for end in await next_ends(scheduler)] == [place]


async def test_an_end_is_told_again_after_a_crash(site: Site, scheduler: SchedulerPort) -> None:
    """An end whose hearer may have died is told to the next server; one dealt with is not."""
    first, second = await started(scheduler, "pc-1", 2)
    (await site.slot(first)).tell("exit 0")
    await next_ends(scheduler)
    (await site.slot(second)).tell("exit 0")
    await next_ends(scheduler)

    later = site.open()

    assert [end.place for end in await next_ends(later)] == [second]
    await later.close()


async def test_an_end_without_a_server_is_told(site: Site) -> None:
    """A slot that ended while no server ran is answered by the next, as not clean."""
    start_and_die(site, Burst("pc-1", POOL, 1))
    [slot] = site.slots()
    slot.kill()
    later = site.open()

    [end] = await next_ends(later)

    assert (end.burst, end.clean) == ("pc-1", False)
    assert await later.presences() == []
    await later.close()


# --- the rest -------------------------------------------------------------------------------------


async def test_capacity_is_that_of_the_machine(scheduler: SchedulerPort) -> None:
    """Each core type there is has room for slots, another has none."""
    assert all([await scheduler.capacity(core_type) > 0 for core_type in CORE_TYPES])
    assert await scheduler.capacity("c9") == 0


async def test_ping_answers(scheduler: SchedulerPort) -> None:
    """`ping` answers while slots can be started."""
    await scheduler.ping()


async def test_slots_go_on_after_close(site: Site) -> None:
    """`close` ends no slot; another server finds it."""
    scheduler = site.open()
    [place] = await started(scheduler)
    slot = await site.slot(place)

    await scheduler.close()
    later = site.open()

    assert slot.runs
    assert await places(later, "pc-1") == [place]
    await later.close()


async def test_a_scheduler_that_cannot_answer_is_unavailable(
    site: Site, scheduler: SchedulerPort
) -> None:
    """Every method that needs what is gone raises `Unavailable`."""
    [place] = await started(scheduler)
    await site.slot(place)

    site.break_off()

    with pytest.raises(Unavailable):
        await scheduler.start(Burst("pc-2", POOL, 1))
    with pytest.raises(Unavailable):
        await scheduler.stop("pc-1")
    with pytest.raises(Unavailable):
        await scheduler.presences()
    with pytest.raises(Unavailable):
        await scheduler.ended(0)
    with pytest.raises(Unavailable):
        await scheduler.ping()
