"""What the local scheduler promises beyond the port: of processes, of faults, on disk."""

import json
import os
import signal
import stat
import time
from pathlib import Path

import pytest
from picloud_driver.scheduler import Burst, Pool
from picloud_driver.scheduler.local.records import LOGS_KEPT
from picloud_driver.scheduler.local.scheduler import LocalScheduler
from picloud_model.errors import RequestRefused, Unavailable

from tests.contract.full_disk import file_size_limit
from tests.contract.scheduler_adapters import KEY, POOL, URL, Local, next_ends
from tests.contract.started_slot import is_running
from tests.polling import eventually

ONE = Burst("pc-1", POOL, 1)
TWO = Burst("pc-1", POOL, 2)


def running(site: Local, *command: str) -> LocalScheduler:
    """A scheduler whose slots run another program."""
    return LocalScheduler(site.root, URL, signing_key=KEY, slots=2, command=command)


def exists(pid: int) -> bool:
    """Whether a process of that number exists, even as a zombie."""
    return Path(f"/proc/{pid}").exists()


def listed(directory: Path) -> list[str]:
    """The entries of a directory."""
    return sorted(path.name for path in directory.iterdir())


# --- how a slot is started ------------------------------------------------------------------------


async def test_a_slot_is_the_worker_in_the_pythons_own_mode(
    local_site: Local, tmp_path: Path
) -> None:
    """By default a slot is `python -P -m picloud_worker`: its work directory is not imported."""
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "$@" > .arguments\nmv .arguments arguments\nsleep 600\n')
    python.chmod(0o700)
    scheduler = LocalScheduler(local_site.root, URL, signing_key=KEY, slots=2, python=str(python))
    await scheduler.start(ONE)
    [presence] = await scheduler.slots()
    told = local_site.root / "slots" / presence.place / "arguments"

    await eventually(told.exists, "the slot told its arguments")
    await scheduler.close()

    words = told.read_text().split()
    assert words[:3] == ["-P", "-m", "picloud_worker"]
    assert words[3:-1] == ["--url", URL, "--place", presence.place, "--proof-fd"]


async def test_a_slot_leads_its_own_session(local_site: Local, local: LocalScheduler) -> None:
    """So that neither Ctrl-C nor a closed terminal of the server reaches it."""
    await local.start(ONE)
    [presence] = await local.slots()

    slot = await local_site.slot(presence.place)

    assert slot.seen["session"] == slot.pid
    assert slot.seen["directory"] == str(local_site.root / "slots" / presence.place)


async def test_an_environment_is_refused(local: LocalScheduler) -> None:
    """A pool of an image cannot be had, rather than be run in another Python."""
    with pytest.raises(RequestRefused, match="environment"):
        await local.start(Burst("pc-1", Pool("a0000001", "c1", 1, "sha256:0"), 1))


async def test_files_are_the_servers_own(local_site: Local, local: LocalScheduler) -> None:
    """Directories have mode 0700, records and logs 0600."""
    await local.start(ONE)
    [presence] = await local.slots()
    slots = local_site.root / "slots"

    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (slots, *slots.iterdir())}

    assert modes == {
        slots: 0o700,
        slots / presence.place: 0o700,
        slots / f"{presence.place}.json": 0o600,
        slots / f"{presence.place}.log": 0o600,
    }


async def test_a_full_machine_is_reported(local: LocalScheduler) -> None:
    """Where every slot is taken, that is what keeps others from starting."""
    await local.start(Burst("pc-1", POOL, 2))

    assert await local.pending_reason(POOL) == "All 2 slots of this machine are taken."


async def test_capacity_is_what_was_given(local: LocalScheduler) -> None:
    """The number of slots is a setting."""
    assert await local.capacity("c1") == 2


# --- what can fail --------------------------------------------------------------------------------


async def test_a_slot_that_cannot_be_recorded_ends(
    local_site: Local, local: LocalScheduler
) -> None:
    """If no record can be written, no slot is left; a repeated request starts the burst."""
    with file_size_limit(10), pytest.raises(Unavailable):
        await local.start(TWO)
    await eventually(lambda: not local_site.processes(), "the slot without a record ended")
    left = listed(local_site.root / "slots")

    await local.start(TWO)

    assert [name for name in left if not name.endswith(".log")] == []
    assert len(await local.slots()) == 2


async def test_a_missing_program_is_reported(local_site: Local) -> None:
    """Without its Python no slot starts: `start` and `ping` name it, and nothing is left."""
    scheduler = running(local_site, "/nowhere/python")

    with pytest.raises(Unavailable, match="/nowhere/python"):
        await scheduler.start(ONE)
    with pytest.raises(Unavailable, match="/nowhere/python"):
        await scheduler.ping()

    assert await scheduler.slots() == []
    assert [name for name in listed(local_site.root / "slots") if not name.endswith(".log")] == []


async def test_a_slot_that_dies_at_once_is_reported(local_site: Local) -> None:
    """Its end is returned with its status and the end of its log, and it leaves no zombie."""
    scheduler = running(local_site, "/bin/sh", "-c", "echo broken >&2; exit 7")
    await scheduler.start(TWO)
    pids = [json.loads(path.read_text())["pid"] for path in local_site.root.glob("slots/*.json")]

    ends = await next_ends(scheduler, 2)

    assert [end.detail for end in ends] == ["exit status 7; its log ends:\nbroken"] * 2
    assert await scheduler.slots() == []
    assert [pid for pid in pids if exists(pid)] == []


async def test_a_killed_slot_takes_its_children_along(
    local_site: Local, local: LocalScheduler
) -> None:
    """What a slot has started ends with it, in any process group."""
    await local.start(ONE)
    [presence] = await local.slots()
    slot = await local_site.slot(presence.place)
    child = int(await slot.carry_out("child"))

    os.kill(slot.pid, signal.SIGKILL)
    await next_ends(local, 1)

    await eventually(lambda: not is_running(child), "the slot's child ended")


# --- what is left ---------------------------------------------------------------------------------


async def test_little_is_left_of_ended_places(local_site: Local) -> None:
    """Once an end was dealt with, record and work directory go; the last 20 logs stay."""
    scheduler = running(local_site, "/bin/sh", "-c", "mkdir -p a/b; touch a/b/c; exit 0")
    await scheduler.start(Burst("pc-1", POOL, LOGS_KEPT + 3))
    await next_ends(scheduler, LOGS_KEPT + 3)

    await scheduler.ended(0)

    left = listed(local_site.root / "slots")
    assert len(left) == LOGS_KEPT
    assert {Path(name).suffix for name in left} == {".log"}


async def test_leftovers_go_after_a_day(local_site: Local, local: LocalScheduler) -> None:
    """At its opening a scheduler removes what crashes left a day ago, and nothing that lives."""
    await local.start(ONE)
    [presence] = await local.slots()
    slots, bursts = local_site.root / "slots", local_site.root / "bursts"
    (slots / "pc-0-abandoned").mkdir()
    (slots / ".pc-0.json.0").write_text("half")
    (bursts / "pc-0").write_text("1")
    for path in (*slots.iterdir(), *bursts.iterdir()):
        os.utime(path, (time.time() - 90_000,) * 2)

    local_site.open()

    places = [presence.place, f"{presence.place}.json", f"{presence.place}.log"]
    assert (listed(slots), listed(bursts)) == (places, ["pc-1"])


async def test_a_damaged_record_is_dropped(local_site: Local, local: LocalScheduler) -> None:
    """A record damaged by a power cut is ignored."""
    (local_site.root / "slots" / "pc-0-x.json").write_bytes(b"\0\0")

    assert await local.slots() == []
    assert listed(local_site.root / "slots") == []
