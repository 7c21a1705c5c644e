"""Places where scheduler tests run slots, and a look at those slots from outside."""

import asyncio
import contextlib
import json
import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, Protocol

import jwt
from picloud_driver.scheduler import Burst, SchedulerPort
from picloud_driver.scheduler.local import LocalScheduler

from tests.contract.deadline import DEADLINE_S, POLL_S, until

URL = "http://127.0.0.1:9/canary"
KEY = bytes(range(32))
COMMAND = (sys.executable, "-I", "-S", str(Path(__file__).with_name("obedient_slot.py")))


def runs(pid: int) -> bool:
    """Whether a process is there and no zombie; how soon those go is init's affair."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(") ")[2][0] not in "ZX"


def reap(pids: list[int]) -> None:
    """Leave no zombie of those that are children of this process."""
    for pid in pids:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


class Slot:
    """A slot that has begun, seen from outside; `seen` is what it told of itself."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.seen: dict[str, Any] = json.loads((directory / "seen.json").read_text())
        self.pid: int = self.seen["pid"]
        self.proof: str = self.seen["proof"]

    @property
    def runs(self) -> bool:
        """Whether its process has not ended."""
        return runs(self.pid)

    @property
    def arguments(self) -> bytes:
        """Its command line."""
        return Path(f"/proc/{self.pid}/cmdline").read_bytes()

    @property
    def environment(self) -> bytes:
        """The environment it was started with."""
        return Path(f"/proc/{self.pid}/environ").read_bytes()

    def kill(self) -> None:
        """End it by SIGKILL, and return when it is dead but nobody could hear of it yet."""
        os.kill(self.pid, signal.SIGKILL)
        deadline = time.monotonic() + DEADLINE_S
        while self.runs and time.monotonic() < deadline:
            time.sleep(POLL_S)

    def tell(self, order: str) -> None:
        """Give it an order."""
        with (self.directory / "orders").open("w") as orders:
            orders.write(f"{order}\n")

    async def obey(self, order: str) -> str:
        """Give it an order and wait until it has done so."""
        done = self.directory / order.partition(" ")[0]
        self.tell(order)
        await until(done.exists, f"the slot did {order!r}")
        return done.read_text()


class Site(Protocol):
    """Where the slots of one test run; it can be sent to another process."""

    def open(self) -> SchedulerPort:
        """A port as a process makes it that has just begun."""

    async def slot(self, place: str) -> Slot:
        """The slot at a place, once it has begun."""

    def slots(self) -> list[Slot]:
        """Every slot that has begun."""

    def files_of(self, place: str) -> bytes:
        """All bytes the scheduler keeps about a place, and the slot's output."""

    def forge(self, proof: str) -> list[str]:
        """Proofs like this one, each made wrong in another way."""

    def expire(self, proof: str) -> str:
        """The same proof, past its time."""

    def break_off(self) -> None:
        """Make the scheduler unable to answer."""

    async def kill_all(self) -> None:
        """End every process of the site."""


class Local:
    """The adapter `local`."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.root = scratch / "scheduler"

    def open(self) -> LocalScheduler:
        """A port on the directory, with the environment of this process."""
        return LocalScheduler(
            self.root, URL, signing_key=KEY, slots=2, command=COMMAND, environment=os.environ
        )

    async def slot(self, place: str) -> Slot:
        """The slot at a place, once it has begun."""
        directory = self.root / "slots" / place
        await until((directory / "seen.json").exists, f"the slot at {place} began")
        return Slot(directory)

    def slots(self) -> list[Slot]:
        """Every slot that has begun."""
        return [Slot(path.parent) for path in self.root.glob("slots/*/seen.json")]

    def files_of(self, place: str) -> bytes:
        """The record and the log."""
        return b"".join(path.read_bytes() for path in self.root.glob(f"slots/{place}.*"))

    def forge(self, proof: str) -> list[str]:
        """Of another key, unsigned, for another audience, of unknown places, and without claims."""
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
        """The same claims, signed by the same key, but of yesterday."""
        claims = jwt.decode(proof, options={"verify_signature": False})
        claims |= {"iat": claims["iat"] - 86_400, "exp": claims["exp"] - 86_400}
        return jwt.encode(claims, KEY, "HS256")

    def break_off(self) -> None:
        """Take the directory away, as when a disk is unmounted."""
        self.root.rename(self.root.with_name("unmounted"))

    def processes(self) -> list[int]:
        """Every slot that runs, known to the scheduler or not, and what slots have started.

        They are told by where they work; no more than that is asked of other processes.
        """
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
                inside = (path / "cwd").readlink().is_relative_to(self.scratch)
                if inside and runs(int(path.name)):
                    found.append(int(path.name))
        return found

    async def kill_all(self) -> None:
        """End every process of the site."""
        killed = self.processes()
        for pid in killed:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await until(lambda: not self.processes(), "every slot ended")
        reap(killed)


def start_and_die(site: Site, burst: Burst) -> int | None:
    """Start a burst by a server that is killed as soon as its slots have begun.

    Returns:
        The exit status of that server, -9.
    """
    server = multiprocessing.get_context("spawn").Process(target=_serve, args=(site, burst))
    server.start()
    server.join(DEADLINE_S)
    return server.exitcode


def _serve(site: Site, burst: Burst) -> None:
    async def start() -> None:
        scheduler = site.open()
        await scheduler.start(burst)
        for presence in await scheduler.presences():
            await site.slot(presence.place)
        os.kill(os.getpid(), signal.SIGKILL)

    asyncio.run(start())
