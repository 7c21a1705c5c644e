"""A server without sockets: real use cases over real SQLite, and a scheduler that starts nothing.

Tests act as the slots: they register, lease and report as the worker would.
"""

from __future__ import annotations

import asyncio
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

from picloud_api import wiring
from picloud_api.engine.jobs.fence import Blame
from picloud_api.engine.process.slot_sessions import SlotSession
from picloud_api.engine.scheduling.autoscaler import PATIENCE_S
from picloud_api.engine.scheduling.pool import pool_of
from picloud_api.settings import ServerSettings
from picloud_api.store import layout
from picloud_driver.blob.directory import DirectoryBlobs
from picloud_driver.bucket.directory import DirectoryBuckets
from picloud_driver.gateway.process import GatewayProcess
from picloud_driver.identity import IdentityPort, NoIssuer
from picloud_driver.image.venv import VenvImages
from picloud_driver.queue.sqlite import SqliteQueues
from picloud_driver.scheduler import Burst, Placement, SchedulerPort, SlotEnd, SlotPresence
from picloud_driver.secret.file import FileSecrets
from picloud_driver.webhook.direct import DirectWebhooks
from picloud_driver.webhook.network_policy import NetworkPolicy
from picloud_model import pack, wire
from picloud_model.errors import PiCloudError, RequestRefused, SlotRefused
from picloud_model.job import State
from picloud_model.pack import PYTHON

from tests.polling import eventually
from tests.unit.api.recording_state import RecordingState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence
    from pathlib import Path

    from picloud_api.usecases.use_cases import UseCases
    from picloud_driver.scheduler import Pool

ENVELOPE = pack.Envelope(PYTHON, "3.1.0")
ACCOUNT = "a0000001"


class UncountedBytes:
    """Bytes in memory that a test does not count."""

    def keep(self, size: int) -> None:
        """Count fewer of them."""


async def hold(size: int) -> UncountedBytes:
    """Count nothing."""
    del size
    return UncountedBytes()


class RecordingScheduler(SchedulerPort):
    """Records which slots it is to start; a test that acts as a slot takes one of their places."""

    adapter: ClassVar[str] = "recording"
    isolates: ClassVar[bool] = False
    shares_files: ClassVar[bool] = True

    def __init__(self) -> None:
        self.bursts: list[Burst] = []
        self.fetched: list[tuple[str, str]] = []
        """The images that machines are to fetch, each with the one that it replaces."""
        self.places: dict[str, Burst] = {}
        self.taken: set[str] = set()
        """The places at which a test acts as the slot, through any of the servers."""
        self.ends: asyncio.Queue[SlotEnd] = asyncio.Queue()
        self.full = ""
        """Why requested slots do not run, if they do not."""
        self.refusal = ""
        """Why no slot can be requested, if none can."""
        self.failure: PiCloudError | None = None
        """What a ping or a fetch raises, if the scheduler does not work."""

    def free_place(self) -> str | None:
        """Return a place that no test has taken, if there is one."""
        return next((place for place in self.places if place not in self.taken), None)

    async def start(self, burst: Burst) -> None:
        if self.refusal:
            raise RequestRefused(self.refusal)
        self.bursts.append(burst)
        for number in range(burst.count):
            self.places[f"{burst.name}-{number}"] = burst

    async def prefetch(self, image: str, instead_of: str) -> None:
        if self.failure is not None:
            raise self.failure
        self.fetched.append((image, instead_of))

    async def stop(self, burst: str) -> None:
        self.places = {place: of for place, of in self.places.items() if of.name != burst}

    async def verify(self, proof: str) -> Placement:
        if proof not in self.places:
            raise SlotRefused
        burst = self.places[proof]
        return Placement(burst.name, proof, burst.pool)

    async def slots(self) -> Sequence[SlotPresence]:
        return [SlotPresence(of.name, place, not self.full) for place, of in self.places.items()]

    async def ended(self, timeout_s: float) -> Sequence[SlotEnd]:
        try:
            async with asyncio.timeout(timeout_s):
                return [await self.ends.get()]
        except TimeoutError:
            return []

    async def capacity(self, core_type: str) -> int:
        return 2

    async def pending_reason(self, pool: Pool) -> str:
        return self.refusal or self.full

    def page_of(self, place: str) -> str:
        return f"https://nomad.example/ui/allocations/{place}"

    async def ping(self) -> None:
        if self.failure is not None:
            raise self.failure

    async def close(self) -> None:
        return None


class ApiHarness:
    """A server as one account and its slots see it."""

    def __init__(self, root: Path, state_type: type[RecordingState] = RecordingState) -> None:
        self.root = root
        self.state_type = state_type
        self.state: RecordingState
        self.now = 1_000.0
        self.scheduler = RecordingScheduler()
        self.identity: IdentityPort = NoIssuer()
        self.server: wiring.Server

    async def start(self) -> ApiHarness:
        """Build the server over what is stored in the directory, as at a start."""
        settings = ServerSettings(
            data=self.root, host="", port=0, slots=2, ready_fd=-1, owner_fd=-1,
            synchronous="NORMAL", idle_s=60, discard=False, slot_environment={}, crashpoint="",
            log_level="warning",
        )  # fmt: skip
        self.server = await wiring.build(self.ports(), settings, self.clock)
        await self.server.background.recovery.recover()
        return self

    def ports(self) -> wiring.Ports:
        """Return the adapters under the server."""
        self.state = self.state_type(self.root / "state.sqlite")
        return wiring.Ports(
            state=self.state,
            blobs=DirectoryBlobs(self.root / "blobs"),
            buckets=DirectoryBuckets(self.root / "buckets"),
            queues=SqliteQueues(self.root / "queues.sqlite", self.clock),
            secrets=FileSecrets(self.root / "secrets"),
            scheduler=self.scheduler,
            images=VenvImages(self.root / "environments", {}),
            gateway=GatewayProcess("127.0.0.1"),
            webhooks=DirectWebhooks(NetworkPolicy()),
            identity=self.identity,
        )

    @property
    def use_cases(self) -> UseCases:
        """What clients and slots may request from the server."""
        return self.server.use_cases

    def clock(self) -> float:
        """Return the time, which passes only where a test sets `now`."""
        return self.now

    async def wait_until(self, read: Callable[[], Awaitable[object]], expected: object) -> None:
        """Wait until `read` returns a value."""

        async def is_expected() -> bool:
            return await read() == expected

        await eventually(is_expected, repr(expected))

    @contextmanager
    def missed_events(self) -> Iterator[None]:
        """Let the server miss its own events for the length of a `with` block."""
        listeners = self.server.context.commits._listeners
        kept = [*listeners]
        listeners.clear()
        try:
            yield
        finally:
            listeners.extend(kept)

    async def stop(self) -> None:
        """Forget everything that is not stored, as kill -9 would."""
        await self.server.background.stop()
        await self.server.use_cases.jobs.kill.stop()
        await self.server.ports.queues.close()
        await self.server.ports.state.close()

    async def submit(self, count: int, *, function: str = "f", **options: object) -> range:
        """Submit a batch whose arguments are the numbers of its jobs; return its jids."""
        request = self.request(count, function=function, **options)
        return await self.send(request)

    async def send(self, request: wire.SubmitRequest) -> range:
        """Submit a request, perhaps again; return its jids."""
        fingerprint = request.submit_id.encode()[:16]
        made = await self.server.use_cases.jobs.submit.submit(ACCOUNT, request, fingerprint)
        await asyncio.sleep(0)
        return range(made.first, made.first + made.count)

    def request(self, count: int, *, function: str = "f", **options: object) -> wire.SubmitRequest:
        """Return a submit request that was not sent yet."""
        body = pack.seal(function.encode())
        parts = [
            wire.PackPart(first, min(1000, count - first), wire.Content("", 0, _pack(first, count)))
            for first in range(0, count, 1000)
        ]
        return wire.SubmitRequest(
            submit_id=uuid.uuid4().hex,
            kind="map",
            count=count,
            envelope=ENVELOPE,
            function=wire.Content(function.ljust(64, "0"), len(body), body),
            function_name=function,
            options=wire.Options(**options),  # type: ignore[arg-type]
            parts=parts,
        )

    async def slot(self) -> SlotSession:
        """Register a slot at a place that the scheduler was to start, or else at a new one."""
        place = self.scheduler.free_place()
        if place is None:
            pool = pool_of(ACCOUNT, wire.Options())
            await self.scheduler.start(Burst(f"pc-{uuid.uuid4().hex}", pool, 1))
            place = list(self.scheduler.places)[-1]
        self.scheduler.taken.add(place)
        granted = await self.server.use_cases.slots.slots.register(place)
        return await self.server.use_cases.slots.slots.recognise(granted.token)

    async def reconnect(self, session: SlotSession) -> SlotSession:
        """Return the new session of a slot that outlived a restart of the server."""
        record = await self.server.context.commits.view.get(layout.slot(session.number))
        return self.server.use_cases.slots.slots.sessions.add(SlotSession(record, self.now))

    async def work(self, slot: SlotSession, **request: object) -> wire.WorkAnswer:
        """Send one work request of a slot."""
        return await self.server.use_cases.slots.work.work(slot, wire.WorkRequest(**request))  # type: ignore[arg-type]

    async def lose(self, slot: SlotSession, blame: Blame = Blame.JOB) -> None:
        """Lose a slot; unless there is another reason, it died alone."""
        self.scheduler.places.pop(slot.slot.place, None)
        await self.server.use_cases.slots.slots.remove(slot.number, blame, "power cut")

    async def scale_up(self) -> None:
        """Let the autoscaler look for jobs without slots, as it does every second."""
        self.now += PATIENCE_S
        autoscaler = self.server.background.autoscaler
        autoscaler.scale_up_all()
        await asyncio.gather(*autoscaler._checks)

    async def statuses(self, jids: range) -> list[str]:
        """Return the status of each job."""
        answer = await self.server.use_cases.jobs.status.status(
            ACCOUNT, [(jids[0], jids[-1])], hold
        )
        return [run.status for run in answer.runs for _ in range(run.first, run.last + 1)]

    async def outcomes(self, jids: range, timeout_s: float = 0.0) -> dict[int, wire.Outcome]:
        """Return the outcomes of those jobs that are final."""
        request = wire.WaitRequest(jids=[(jids[0], jids[-1])], timeout_s=timeout_s)
        answer = await self.server.use_cases.jobs.wait.wait(ACCOUNT, request, hold)
        return {outcome.jid: outcome for outcome in answer.outcomes}


def _pack(first: int, count: int) -> bytes:
    last = min(count, first + 1000)
    return pack.write([pack.seal(str(number).encode()) for number in range(first, last)])


def report_of(lease: wire.Lease, state: State = State.DONE, seconds: float = 0.0001) -> wire.Report:
    """Return the report on a lease of which each job returned its argument."""
    jobs = [
        wire.JobReport(
            index=job.index,
            attempt=job.attempt,
            state=state,
            cause=0,
            started_at=1000.0,
            finished_at=1000.0 + seconds,
            payload=job.arguments,
        )
        for job in lease.jobs
    ]
    return wire.Report(lease.batch, ENVELOPE, jobs)
