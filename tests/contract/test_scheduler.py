"""What every scheduler promises: what a slot is, how it is started and stopped."""

import asyncio
import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import pytest
from picloud_driver.scheduler import THREADS, Burst, Placement, Pool, SchedulerPort
from picloud_model.errors import RequestRefused

from tests.contract.scheduler_adapters import (
    POOL,
    URL,
    Site,
    next_ends,
    places,
    start_and_die,
    started,
)
from tests.contract.started_slot import is_running
from tests.polling import eventually


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


async def test_a_slot_knows_the_api_and_itself(slot_site: Site, scheduler: SchedulerPort) -> None:
    """A slot gets the API's URL, its place and a proof that the scheduler accepts."""
    [place] = await started(scheduler)

    slot = await slot_site.slot(place)

    assert (slot.seen["url"], slot.seen["place"]) == (URL, place)
    assert await scheduler.verify(slot.proof) == Placement("pc-1", place, POOL)


async def test_no_other_user_can_read_the_proof(slot_site: Site, scheduler: SchedulerPort) -> None:
    """The proof is in no argument, no environment and no file that a slot is started with."""
    [place] = await started(scheduler)
    slot = await slot_site.slot(place)

    shown = [slot.arguments, slot.environment, slot_site.files_of(place)]

    assert [text for text in shown if slot.proof.encode() in text] == []


async def test_a_slot_inherits_no_environment(
    slot_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the server's environment is in the slot's but what finds programs and clocks."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary-77")
    monkeypatch.setenv("PYTHONPATH", "/canary-77")
    scheduler = slot_site.open()
    [place] = await started(scheduler)

    environment = (await slot_site.slot(place)).environment
    await scheduler.close()

    assert b"canary-77" not in environment
    names = {entry.partition(b"=")[0] for entry in environment.split(b"\0") if entry}
    assert names <= {b"PATH", b"HOME", b"LANG", b"TZ", b"PYTHONUSERBASE", THREADS.encode()}


async def test_a_slot_has_as_many_threads_as_cores(
    slot_site: Site, scheduler: SchedulerPort
) -> None:
    """Libraries that compute in threads would otherwise start one for each core of the machine."""
    [place] = await started(scheduler)

    environment = (await slot_site.slot(place)).environment

    assert f"{THREADS}={POOL.cores}".encode() in environment.split(b"\0")


async def test_a_slot_inherits_no_files(slot_site: Site, scheduler: SchedulerPort) -> None:
    """Of open files a slot has the standard ones, none of them the server's, and its proof."""
    with tempfile.TemporaryFile() as leaked, standard_input(leaked):
        os.set_inheritable(leaked.fileno(), True)
        [place] = await started(scheduler)
        slot = await slot_site.slot(place)

    descriptors = slot.seen["descriptors"]
    own = {os.readlink(f"/proc/self/fd/{number}") for number in range(3)}  # noqa: PTH115

    assert set(descriptors) == {"0", "1", "2", str(slot.seen["proof_fd"])}
    assert descriptors["0"] == "/dev/null"
    assert descriptors[str(slot.seen["proof_fd"])].startswith(slot_site.proof_from)
    assert not {descriptors["1"], descriptors["2"]} & own


async def test_slots_outlive_their_server(slot_site: Site) -> None:
    """Slots of a server that was killed live, and are the next server's slots."""
    assert start_and_die(slot_site, Burst("pc-1", POOL, 2)) == -signal.SIGKILL
    later = slot_site.open()

    found = await places(later, "pc-1")
    proofs = [(await slot_site.slot(place)).proof for place in found]
    verified = [await later.verify(proof) for proof in proofs]
    os.kill((await slot_site.slot(found[0])).pid, signal.SIGKILL)
    [end] = await next_ends(later)
    await later.stop("pc-1")

    assert verified == [Placement("pc-1", place, POOL) for place in found]
    assert (len(found), end.place, end.clean) == (2, found[0], False)
    assert await later.slots() == []
    await later.close()


# --- start ----------------------------------------------------------------------------------------


async def test_a_burst_is_so_many_slots(slot_site: Site, scheduler: SchedulerPort) -> None:
    """`start` starts the requested slots, each at a place of its own, each running."""
    first = await started(scheduler, "pc-1", 3)
    second = await started(scheduler, "pc-2", 1)

    pids = {(await slot_site.slot(place)).pid for place in first + second}

    assert (len(set(first)), len(second), len(pids)) == (3, 1, 4)


async def test_asking_again_starts_nothing(slot_site: Site, scheduler: SchedulerPort) -> None:
    """A repeated request of a burst, at once or later, starts nothing more."""
    burst = Burst("pc-1", POOL, 2)
    await asyncio.gather(*(scheduler.start(burst) for _ in range(3)))
    before = await places(scheduler, "pc-1")

    await scheduler.start(burst)

    assert len(before) == 2
    assert await places(scheduler, "pc-1") == before


async def test_asking_again_after_a_restart_starts_nothing(slot_site: Site) -> None:
    """Nor does it when another server process started the burst and died."""
    burst = Burst("pc-1", POOL, 2)
    start_and_die(slot_site, burst)
    later = slot_site.open()

    await later.start(burst)

    assert len(await places(later, "pc-1")) == 2
    await later.close()


async def test_asking_again_after_the_end_starts_nothing(
    slot_site: Site, scheduler: SchedulerPort
) -> None:
    """Nor when its slots have ended and their ends were returned."""
    [place] = await started(scheduler)
    (await slot_site.slot(place)).give("exit 0")
    await next_ends(scheduler)
    await scheduler.ended(0)

    assert await started(scheduler) == []


@pytest.mark.parametrize("core_type", ["", "c9", "C1"])
async def test_an_unknown_core_type_is_refused(scheduler: SchedulerPort, core_type: str) -> None:
    """A core type no machine offers is refused by a sentence with those that are offered."""
    burst = Burst("pc-1", Pool("a0000001", core_type, 1), 1)

    with pytest.raises(RequestRefused, match="c1, c2, f2, m1, s1"):
        await scheduler.start(burst)

    assert await scheduler.slots() == []


async def test_what_keeps_slots_from_starting(scheduler: SchedulerPort) -> None:
    """`pending_reason` names what is offered if no machine offers a core type; else it is ""."""
    assert await scheduler.pending_reason(POOL) == ""
    told = await scheduler.pending_reason(Pool("a0000001", "c9", 1))

    assert "c1" in told
    assert told.endswith(".")


async def test_a_place_may_have_a_page(scheduler: SchedulerPort) -> None:
    """In a scheduler that has pages of its own, it is for that place alone."""
    pages = {scheduler.page_of("one"), scheduler.page_of("two")}

    assert pages == {""} or all("/ui/" in each for each in pages)
    assert len(pages) == (1 if "" in pages else 2)


@pytest.mark.parametrize(
    "name", ["", "../x", "a/b", "-x", "a b", "a\n", "é", "${node.id}", "x" * 129]
)
async def test_a_burst_is_named_safely(scheduler: SchedulerPort, name: str) -> None:
    """A name that would be unsafe in a path, a URL or a jobspec is refused."""
    with pytest.raises(RequestRefused):
        await scheduler.start(Burst(name, POOL, 1))


# --- stop -----------------------------------------------------------------------------------------


async def test_stop_ends_every_slot_of_a_burst(slot_site: Site, scheduler: SchedulerPort) -> None:
    """After `stop` no process of the burst is left; other bursts go on."""
    stopped = await started(scheduler, "pc-1", 2)
    [kept] = await started(scheduler, "pc-2")
    pids = [(await slot_site.slot(place)).pid for place in stopped]

    await scheduler.stop("pc-1")

    assert [pid for pid in pids if is_running(pid)] == []
    assert [found.place for found in await scheduler.slots()] == [kept]


async def test_stop_ends_what_does_not_listen(slot_site: Site, scheduler: SchedulerPort) -> None:
    """A slot that ignores SIGTERM, one that is frozen, and what they started end as well."""
    deaf, frozen = [await slot_site.slot(place) for place in await started(scheduler, "pc-1", 2)]
    await deaf.carry_out("deaf")
    child = int(await deaf.carry_out("child"))
    os.kill(frozen.pid, signal.SIGSTOP)

    await scheduler.stop("pc-1")

    await eventually(lambda: not is_running(child), "the slot's child ended")
    assert (deaf.is_running, frozen.is_running) == (False, False)


@pytest.mark.parametrize("burst", ["pc-unknown", "", "../x"])
async def test_stopping_an_unknown_burst_is_no_error(scheduler: SchedulerPort, burst: str) -> None:
    """Nothing is to end, so nothing happens."""
    await scheduler.stop(burst)


async def test_stopping_an_ended_burst_is_no_error(
    slot_site: Site, scheduler: SchedulerPort
) -> None:
    """A burst may end while it is stopped, or be stopped twice."""
    [place] = await started(scheduler)
    (await slot_site.slot(place)).give("exit 0")
    await next_ends(scheduler)

    await scheduler.stop("pc-1")
    await scheduler.stop("pc-1")


async def test_a_burst_stopped_while_it_starts_is_stopped(scheduler: SchedulerPort) -> None:
    """No slot of a burst starts after `stop` has returned."""
    starting = asyncio.create_task(scheduler.start(Burst("pc-1", POOL, 50)))

    async def begun() -> bool:
        return bool(await scheduler.slots())

    await eventually(begun, "the burst begins")
    await scheduler.stop("pc-1")
    await starting

    assert await scheduler.slots() == []
