"""Sites where scheduler tests run slots: each adapter has a class like `Local` and a fixture."""

import asyncio
import contextlib
import multiprocessing
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import jwt
import pytest
from picloud_driver.scheduler import Burst, Pool, SchedulerPort, SlotEnd
from picloud_driver.scheduler.local.scheduler import LocalScheduler

from tests.contract.started_slot import Slot, is_running, reap
from tests.polling import DEADLINE_S, eventually

URL = "http://127.0.0.1:9/canary"
KEY = bytes(range(32))
POOL = Pool("a0000001", "c1", 1)
LONG_S = 20.0
COMMAND = (sys.executable, "-I", "-S", str(Path(__file__).with_name("cooperative_slot.py")))


class Site(Protocol):
    """The place where the slots of one test run; it can be sent to another process."""

    proof_from: str
    """The beginning of the name of the file that a slot reads its proof from."""
    reports_within_s: float
    """How soon the scheduler reports an end."""
    reports_ends_again: bool
    """Whether a new process gets ends again that an earlier one has processed."""

    def open(self) -> SchedulerPort:
        """Return a port as a new process opens it."""

    async def slot(self, place: str) -> Slot:
        """Return the slot at a place, once it has started."""

    def slots(self) -> list[Slot]:
        """Return every slot that has started."""

    def files_of(self, place: str) -> bytes:
        """Return all bytes that the scheduler keeps about a place, and the slot's output."""

    def forge(self, proof: str) -> list[str]:
        """Return forgeries of a proof, each wrong in another way."""

    def expire(self, proof: str) -> str:
        """Return the same proof, but expired."""

    def make_unavailable(self) -> None:
        """Make the scheduler unavailable."""

    async def kill_all(self) -> None:
        """Kill every process of the site."""


class Local:
    """The adapter `local`."""

    proof_from = "pipe:"
    reports_within_s = 0.0
    reports_ends_again = False

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.root = scratch / "scheduler"

    def open(self) -> LocalScheduler:
        """A port on the directory, with the environment of this process."""
        return LocalScheduler(
            self.root, URL, signing_key=KEY, slots=2, command=COMMAND, environment=os.environ
        )

    async def slot(self, place: str) -> Slot:
        """Return the slot at a place, once it has started."""
        directory = self.root / "slots" / place
        await eventually((directory / "seen.json").exists, f"the slot at {place} has started")
        return Slot(directory)

    def slots(self) -> list[Slot]:
        """Return every slot that has started."""
        return [Slot(path.parent) for path in self.root.glob("slots/*/seen.json")]

    def files_of(self, place: str) -> bytes:
        """The record and the log."""
        return b"".join(path.read_bytes() for path in self.root.glob(f"slots/{place}.*"))

    def forge(self, proof: str) -> list[str]:
        """Of another key, unsigned, for another audience, for unknown places, without claims."""
        claims = jwt.decode(proof, options={"verify_signature": False})
        return [
            jwt.encode(claims, bytes(32), "HS256"),
            jwt.encode(claims, "", "none"),
            jwt.encode(claims | {"aud": "picloud-work"}, KEY, "HS256"),
            jwt.encode(claims | {"place": "pc-1-00000000"}, KEY, "HS256"),
            jwt.encode(claims | {"burst": "pc-2"}, KEY, "HS256"),
            jwt.encode(claims | {"pool": claims["pool"] | {"account": "a2"}}, KEY, "HS256"),
            jwt.encode(claims | {"pool": None}, KEY, "HS256"),
            *(
                jwt.encode({key: claims[key] for key in claims if key != left_out}, KEY, "HS256")
                for left_out in claims
            ),
        ]

    def expire(self, proof: str) -> str:
        """The same claims, signed by the same key, but from yesterday."""
        claims = jwt.decode(proof, options={"verify_signature": False})
        claims |= {"iat": claims["iat"] - 86_400, "exp": claims["exp"] - 86_400}
        return jwt.encode(claims, KEY, "HS256")

    def make_unavailable(self) -> None:
        """Move the directory away, as if its disk were unmounted."""
        self.root.rename(self.root.with_name("unmounted"))

    def processes(self) -> list[int]:
        """Every running slot and its children, whether the scheduler knows the slot or not.

        Their work directories tell them from other processes.
        """
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
                inside = (path / "cwd").readlink().is_relative_to(self.scratch)
                if inside and is_running(int(path.name)):
                    found.append(int(path.name))
        return found

    async def kill_all(self) -> None:
        """Kill every process of the site."""
        killed: list[int] = []

        def all_killed() -> bool:
            # Again and again, as a process that was killed may just have started another.
            running = self.processes()
            for pid in running:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            killed.extend(running)
            return not running

        await eventually(all_killed, "every slot has ended")
        reap(killed)


def start_and_die(site: Site, burst: Burst) -> int | None:
    """Start a burst in a server process that is killed as soon as the slots have started.

    Returns:
        The exit status of that process, -9.
    """
    server = multiprocessing.get_context("spawn").Process(target=_serve, args=(site, burst))
    server.start()
    server.join(DEADLINE_S)
    return server.exitcode


def _serve(site: Site, burst: Burst) -> None:
    async def start() -> None:
        scheduler = site.open()
        await scheduler.start(burst)
        for presence in await scheduler.slots():
            await site.slot(presence.place)
        os.kill(os.getpid(), signal.SIGKILL)

    asyncio.run(start())


@pytest.fixture(params=["local", "nomad"])
def slot_site(request: pytest.FixtureRequest) -> Site:
    """A site of each kind; its slots end with the test."""
    site: Site = request.getfixturevalue(f"{request.param}_site")
    return site


@pytest.fixture
async def scheduler(slot_site: Site) -> AsyncIterator[SchedulerPort]:
    """A port on an idle site of each kind."""
    opened = slot_site.open()
    yield opened
    await opened.close()


async def started(scheduler: SchedulerPort, burst: str = "pc-1", count: int = 1) -> list[str]:
    """Start a burst and return its places."""
    await scheduler.start(Burst(burst, POOL, count))
    return await places(scheduler, burst)


async def places(scheduler: SchedulerPort, burst: str) -> list[str]:
    """Return the present places of a burst."""
    return [found.place for found in await scheduler.slots() if found.burst == burst]


async def next_ends(scheduler: SchedulerPort, count: int = 1) -> list[SlotEnd]:
    """Return the next ends, in the order of their places."""
    ends: list[SlotEnd] = []
    async with asyncio.timeout(LONG_S):
        while len(ends) < count:
            ends += await scheduler.ended(LONG_S)
    return sorted(ends, key=lambda end: end.place)


@pytest.fixture
async def local_site(tmp_path: Path) -> AsyncIterator[Local]:
    """A directory for the local scheduler's slots, which end with the test."""
    made = Local(tmp_path)
    yield made
    await made.kill_all()


@pytest.fixture
async def local(local_site: Local) -> AsyncIterator[LocalScheduler]:
    """A local scheduler on that directory."""
    opened = local_site.open()
    yield opened
    await opened.close()
