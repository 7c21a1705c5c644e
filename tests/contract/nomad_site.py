"""The adapter `nomad`: slots on a real Nomad of one node, seen from outside."""

import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa
from picloud_driver.nomad.gateway import NomadAccess, NomadGateway
from picloud_driver.scheduler.nomad.scheduler import NomadScheduler
from picloud_jobspecs.render import SlotJob, SlotSite
from picloud_model.core import CORE_TYPES

from tests.contract.scheduler_adapters import COMMAND, POOL, URL
from tests.contract.started_slot import Slot, is_running
from tests.polling import eventually, until
from tests.servers import running
from tests.servers.process import wait_until

META = {"picloud_core_types": ", ".join(CORE_TYPES), "picloud_slots": "3"}
SITE = SlotSite(url=URL, worker=COMMAND)
JOB = SlotJob(burst="pc-1", account=POOL.account, core_type=POOL.core_type)
A_DAY_S = 86_400


class NomadSite:
    """A Nomad that many tests share, one after the other; `agent` is the pid of its agent."""

    #: It is a file that only the slot's user can read.
    proof_from = "/"
    reports_within_s = 15.0
    reports_ends_again = True

    def __init__(self, address: str, directory: Path, agent: int) -> None:
        self.address = address
        self.directory = directory
        self.agent = agent
        self.late_s = 0.0

    def clock(self) -> float:
        """The time that the port receives."""
        return time.time() + self.late_s

    def open(self) -> NomadScheduler:
        """A port with connections of its own."""
        return NomadScheduler(NomadAccess(self.address), SITE, clock=self.clock)

    def home(self, place: str) -> Path:
        """Where a slot works."""
        return self.directory / "data" / "alloc" / place / "slot" / "local"

    async def slot(self, place: str) -> Slot:
        """The slot at a place, once it has begun."""
        await eventually((self.home(place) / "seen.json").exists, f"the slot at {place} began")
        return Slot(self.home(place))

    def slots(self) -> list[Slot]:
        """Every slot that runs."""
        homes = self.directory.glob("data/alloc/*/slot/local/seen.json")
        return [slot for slot in (Slot(path.parent) for path in homes) if slot.is_running]

    def files_of(self, place: str) -> bytes:
        """What Nomad tells of the allocation, and its files that others can read."""
        told = requests.get(f"{self.address}/v1/allocation/{place}", timeout=10).content
        for path in self.home(place).parent.parent.rglob("*"):
            with contextlib.suppress(FileNotFoundError):
                own = path.name == "seen.json"
                if path.is_file() and path.stat().st_mode & 0o077 and not own:
                    told += path.read_bytes()
        return told

    def forge(self, proof: str) -> list[str]:
        """Of other keys, unsigned, signed by Nomad's public key as a secret, and altered."""
        claims = jwt.decode(proof, options={"verify_signature": False})
        head = {"kid": jwt.get_unverified_header(proof)["kid"]}
        own = rsa.generate_private_key(65537, 2048)
        keys = requests.get(f"{self.address}/.well-known/jwks.json", timeout=10).json()["keys"]
        header, payload, signature = proof.split(".")
        other = jwt.encode(claims | {"nomad_job_id": "pc-2"}, own, "RS256", head)
        return [
            jwt.encode(claims, own, "RS256", head),
            jwt.encode(claims, own, "RS256", {"kid": "another"}),
            jwt.encode(claims, own, "RS256"),
            jwt.encode(claims, own, "PS256", head),
            jwt.encode(claims, "", "none", head),
            jwt.encode(claims, keys[0]["n"], "HS256", head),
            f"{header}.{other.split('.')[1]}.{signature}",
            f"{jwt.encode(claims, '', 'none', head).split('.')[0]}.{payload}.{signature}",
            f"{header}.{payload}.",
        ]

    def expire(self, proof: str) -> str:
        """The same proof, a day later."""
        self.late_s = A_DAY_S
        return proof

    def make_unavailable(self) -> None:
        """Kill Nomad's agent; its tasks go on."""
        os.kill(self.agent, signal.SIGKILL)
        until(lambda: not is_running(self.agent), "Nomad's agent has ended", 10)

    def make_namespace(self, name: str) -> None:
        """Add a namespace; it stays."""
        url = f"{self.address}/v1/namespace/{name}"
        requests.put(url, json={"Name": name}, timeout=10).raise_for_status()

    def processes(self) -> list[int]:
        """Every slot that runs, and what slots have started, by where they work."""
        allocations = self.directory / "data" / "alloc"
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
                inside = (path / "cwd").readlink().is_relative_to(allocations)
                if inside and is_running(int(path.name)):
                    found.append(int(path.name))
        return found

    async def kill_all(self) -> None:
        """End every slot."""
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await eventually(lambda: not self.processes(), "every slot ended")


def revive(nomad: running.Nomad) -> None:
    """Start the agent again, if it was killed, and wait until its node takes slots."""
    if nomad.process.running():
        return
    # Not `kill()`: that takes along what the agent has started.
    nomad.process._clear_process()
    nomad.process.start()
    url = f"{nomad.address}/v1/node/{nomad.node_id}"

    def is_ready() -> bool:
        answer = requests.get(url, timeout=10)
        node = answer.json() if answer.ok else {"Status": "", "Drivers": {}}
        healthy = node["Drivers"].get("raw_exec", {}).get("Healthy")
        return bool(node["Status"] == "ready" and healthy)

    wait_until(is_ready, "the Nomad node is ready again")


@pytest.fixture(scope="session")
def nomad_server() -> Iterator[running.Nomad]:
    """One Nomad for all tests; each leaves it without jobs."""
    with running.nomad(meta=META) as nomad:
        yield nomad


@pytest.fixture
async def nomad_site(nomad_server: running.Nomad) -> AsyncIterator[NomadSite]:
    """A Nomad without jobs."""
    process = nomad_server.process.process
    assert process is not None
    site = NomadSite(nomad_server.address, nomad_server.directory, process.pid)
    yield site
    await site.kill_all()
    revive(nomad_server)
    nomad_server.stop_jobs()
    # A slot that was to be stopped before it had begun.
    await site.kill_all()


@pytest.fixture
async def nomad(nomad_site: NomadSite) -> AsyncIterator[NomadScheduler]:
    """A port on it."""
    opened = nomad_site.open()
    yield opened
    await opened.close()


@pytest.fixture
def nomad_gateway(nomad_site: NomadSite) -> Iterator[NomadGateway]:
    """A gateway to it, to register what a port would not."""
    opened = NomadGateway(NomadAccess(nomad_site.address), connections=1)
    yield opened
    opened.close()
