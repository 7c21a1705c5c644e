"""Two API processes over one Consul: each learns of the other's changes at once."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import TYPE_CHECKING, Literal

import msgspec
import pytest
from picloud_api import wiring
from picloud_api.engine.jobs.fence import Blame
from picloud_api.store.records import CronRecord, Ready
from picloud_driver.blob.directory import DirectoryBlobs
from picloud_driver.bucket.directory import DirectoryBuckets
from picloud_driver.consul.gateway import ConsulAccess
from picloud_driver.gateway.process import GatewayProcess
from picloud_driver.image.venv import VenvImages
from picloud_driver.queue.sqlite import SqliteQueues
from picloud_driver.secret.file import FileSecrets
from picloud_driver.state.consul import ConsulState
from picloud_driver.webhook.direct import DirectWebhooks
from picloud_driver.webhook.network_policy import NetworkPolicy
from picloud_model import wire
from picloud_model.errors import JobDeleted, Unavailable
from picloud_model.wire.cron import CronSchedule, RegisterCronRequest
from picloud_model.wire.tunnel import ACCEPTED, TunnelRequest

from tests.polling import eventually
from tests.servers import running
from tests.unit.api.api_harness import ACCOUNT, ApiHarness, RecordingScheduler, report_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from pathlib import Path

    from picloud_api.usecases.crons.cron import Crons
    from picloud_driver.state import Operation
    from picloud_model.wire.tunnel import TunnelOpened

SOON_S = 10.0


class Shared(ApiHarness):
    """A server process with its state in Consul; it shares everything but memory with the other
    one.
    """

    def __init__(self, root: Path, consul: running.Consul, scheduler: RecordingScheduler) -> None:
        super().__init__(root)
        self.scheduler = scheduler
        self._consul = consul

    def ports(self) -> wiring.Ports:
        state = ConsulState(ConsulAccess(self._consul.address), prefix=f"{self.root.name}/")
        return wiring.Ports(
            state=state,
            blobs=DirectoryBlobs(self.root / "blobs"),
            buckets=DirectoryBuckets(self.root / "buckets"),
            queues=SqliteQueues(self.root / f"{uuid.uuid4().hex}.sqlite", self.clock),
            secrets=FileSecrets(self.root / "secrets"),
            scheduler=self.scheduler,
            images=VenvImages(self.root / "environments", {}),
            gateway=GatewayProcess("127.0.0.1"),
            webhooks=DirectWebhooks(NetworkPolicy()),
        )

    def clock(self) -> float:
        return time.time()

    async def start(self) -> Shared:
        await super().start()
        await self.server.background.start()
        return self


class MortalState(ConsulState):
    """Consul as a process sees it that may die while it starts a cron job.

    Attributes:
        dies: When it dies: before a change of a cron job is stored, or right after.
        has_died: Set then; from there on none of its changes is stored.
    """

    dies: Literal["", "before", "after"] = ""

    def __init__(self, access: ConsulAccess, *, prefix: str) -> None:
        super().__init__(access, prefix=prefix)
        self.has_died = asyncio.Event()

    async def commit(self, operations: Sequence[Operation]) -> dict[str, int]:
        """Store changes, or die."""
        if self.has_died.is_set():
            raise Unavailable("The process is dead.")
        starts = any(each.key.startswith(CronRecord.prefix) for each in operations)
        if starts and self.dies == "after":
            await super().commit(operations)
        if starts and self.dies:
            self.has_died.set()
            raise Unavailable("The process died.")
        return await super().commit(operations)


class Mortal(Shared):
    """A server process that may die, and whose clock a test sets forward."""

    def __init__(
        self,
        root: Path,
        consul: running.Consul,
        scheduler: RecordingScheduler,
        ahead_s: list[float],
    ) -> None:
        super().__init__(root, consul, scheduler)
        self._ahead_s = ahead_s

    def ports(self) -> wiring.Ports:
        self.mortal = MortalState(ConsulAccess(self._consul.address), prefix=f"{self.root.name}/")
        return msgspec.structs.replace(super().ports(), state=self.mortal)

    def clock(self) -> float:
        return time.time() + sum(self._ahead_s)

    @property
    def leads(self) -> bool:
        """Whether it is the leader."""
        return self.server.background.leader.is_leader


@pytest.fixture(scope="module")
def consul() -> Iterator[running.Consul]:
    """A Consul for this module."""
    with running.consul() as server:
        yield server


@pytest.fixture
async def pair(tmp_path: Path, consul: running.Consul) -> AsyncIterator[tuple[Shared, Shared]]:
    """Two server processes, as far as they share anything."""
    scheduler = RecordingScheduler()
    one = await Shared(tmp_path, consul, scheduler).start()
    two = await Shared(tmp_path, consul, scheduler).start()
    yield one, two
    for server in (one, two):
        await server.stop()


async def test_jids_are_taken_once(pair: tuple[Shared, Shared]) -> None:
    """Submits to both at once get different jids without gaps."""
    made = await asyncio.gather(*(server.submit(3) for server in pair for _ in range(20)))

    assert sorted(jid for jids in made for jid in jids) == list(range(1, 121))


async def test_a_job_is_known_to_the_other_at_once(pair: tuple[Shared, Shared]) -> None:
    """A jid that one process returned is known to the other."""
    one, two = pair
    for _ in range(20):
        jids = await one.submit(1)
        assert await two.statuses(jids) == ["queued"]


async def test_a_slot_of_the_other_is_woken(pair: tuple[Shared, Shared]) -> None:
    """A submit to one process wakes a slot that waits at the other."""
    one, two = pair
    slot = await two.slot()
    waiting = asyncio.create_task(two.work(slot, wait_s=SOON_S))
    await asyncio.sleep(0)

    await one.submit(1)

    async with asyncio.timeout(SOON_S):
        assert (await waiting).leases


async def test_a_join_at_the_other_ends(pair: tuple[Shared, Shared]) -> None:
    """A result reported to one process ends the wait at the other."""
    one, two = pair
    jids = await one.submit(1)
    waiting = asyncio.create_task(two.outcomes(jids, timeout_s=SOON_S))
    slot = await one.slot()

    lease = (await one.work(slot)).leases[0]
    await one.work(slot, reports=[report_of(lease)], lease=False)

    async with asyncio.timeout(SOON_S):
        assert (await waiting)[jids[0]].payload == lease.jobs[0].arguments


async def test_a_report_to_the_other_counts_at_once(pair: tuple[Shared, Shared]) -> None:
    """A slot may report to a process that does not yet know that the job was leased to it."""
    one, two = pair
    for _ in range(20):
        jids = await one.submit(1)
        assert await two.statuses(jids) == ["queued"]
        slot = await one.slot()
        lease = (await one.work(slot, wait_s=SOON_S)).leases[0]

        await two.work(slot, reports=[report_of(lease)], lease=False)

        assert await two.statuses(jids) == ["done"]


async def test_a_heartbeat_to_the_other_is_believed(pair: tuple[Shared, Shared]) -> None:
    """A process that does not yet know of a lease does not tell the slot that it has lost
    the job.
    """
    one, two = pair
    slot = await one.slot()
    for _ in range(20):
        jids = await one.submit(1)
        assert await two.statuses(jids) == ["queued"]
        lease = (await one.work(slot, wait_s=SOON_S)).leases[0]
        named = wire.AttemptRef(lease.batch, 0, lease.jobs[0].attempt)

        answer = await two.use_cases.slots.heartbeat.heartbeat(
            slot, wire.HeartbeatRequest(running=[named], wait_s=0)
        )

        assert answer.lost == []
        assert await one.statuses(jids) == ["processing"]
        await one.work(slot, reports=[report_of(lease)], lease=False)


async def test_leases_to_a_slot_that_is_gone_return(pair: tuple[Shared, Shared]) -> None:
    """A process that does not know that a slot was removed may lease to it: a full look at the
    state finds the job and queues it again.
    """
    one, two = pair
    slot = await one.slot()
    await two.use_cases.slots.slots.remove(slot.number, Blame.JOB)
    jids = await one.submit(1)
    assert (await one.work(slot, wait_s=SOON_S)).leases
    assert await two.statuses(jids) == ["queued"]

    unfinished = await two.server.context.commits.view.scan(Ready.prefix)
    await two.use_cases.slots.slots.reclaim(set(), unfinished)

    other = await two.slot()
    assert (await two.work(other, wait_s=SOON_S)).leases[0].first == jids[0]


async def test_a_kill_reaches_the_slot_at_the_other(pair: tuple[Shared, Shared]) -> None:
    """A kill at one process ends the heartbeat that waits at the other."""
    one, two = pair
    jids = await one.submit(1)
    slot = await two.slot()
    lease = (await two.work(slot, wait_s=SOON_S)).leases[0]
    running_job = wire.AttemptRef(lease.batch, 0, lease.jobs[0].attempt)
    beat = wire.HeartbeatRequest(running=[running_job], wait_s=SOON_S)
    waiting = asyncio.create_task(two.use_cases.slots.heartbeat.heartbeat(slot, beat))
    await two.wait_until(lambda: two.statuses(jids), ["processing"])

    await one.use_cases.jobs.kill.kill(ACCOUNT, [(jids[0], jids[0])])

    async with asyncio.timeout(SOON_S):
        assert (await waiting).kills == [running_job]


async def test_whoever_hears_of_the_end_releases(pair: tuple[Shared, Shared]) -> None:
    """A chain made at both processes, each job of which is run by a slot of the other: no job waits
    for long, and each is released once.
    """
    chain: list[range] = [await pair[0].submit(1)]
    for number in range(1, 12):
        before = chain[-1][0]
        request = msgspec.structs.replace(pair[0].request(1), depends_on=[(before, before)])
        chain.append(await pair[number % 2].send(request))

    slots = [await server.slot() for server in pair]
    for number, jids in enumerate(chain):
        server, slot = pair[(number + 1) % 2], slots[(number + 1) % 2]
        async with asyncio.timeout(SOON_S):
            [lease] = (await server.work(slot, wait_s=SOON_S)).leases
        assert range(lease.first, lease.first + 1) == jids
        await server.work(slot, reports=[report_of(lease)], lease=False)

    assert await pair[0].statuses(range(1, 13)) == ["done"] * 12


async def test_who_waits_is_known_to_servers_that_start_anew(pair: tuple[Shared, Shared]) -> None:
    """A chain continues over Consul although both processes end between any two of its jobs."""
    one, two = pair
    chain = [await one.submit(1)]
    for number in range(1, 6):
        before = chain[-1][0]
        request = msgspec.structs.replace(one.request(1), depends_on=[(before, before)])
        chain.append(await pair[number % 2].send(request))

    for jids in chain:
        slot = await two.slot()
        async with asyncio.timeout(SOON_S):
            [lease] = (await two.work(slot, wait_s=SOON_S)).leases
        assert range(lease.first, lease.first + 1) == jids
        await two.work(slot, reports=[report_of(lease)], lease=False)
        for server in pair:
            await server.stop()
        for server in pair:
            await server.start()

    assert await one.statuses(range(1, 7)) == ["done"] * 6


async def test_a_kill_at_one_stalls_at_the_other(pair: tuple[Shared, Shared]) -> None:
    """A job killed at one process stalls the jobs that depend on it at the other."""
    one, two = pair
    first = await one.submit(1)
    request = msgspec.structs.replace(two.request(2500), depends_on=[(first[0], first[0])])
    waiting = await two.send(request)

    await one.use_cases.jobs.kill.kill(ACCOUNT, [(first[0], first[0])])

    assert len(await two.outcomes(waiting, timeout_s=SOON_S)) == 2500
    assert set(await one.statuses(waiting)) == {"stalled"}


async def test_no_job_is_leased_twice(pair: tuple[Shared, Shared]) -> None:
    """Slots at both processes share a map; each job is leased to one of them, and all are done."""
    jids = await pair[0].submit(300)
    leased: list[int] = []

    async def drain(server: Shared) -> None:
        slot = await server.slot()
        while leases := (await server.work(slot, wait_s=0.5)).leases:
            leased.extend(lease.first + job.index for lease in leases for job in lease.jobs)
            reports = [report_of(lease) for lease in leases]
            await server.work(slot, reports=reports, lease=False)

    await asyncio.gather(*(drain(server) for server in pair))

    assert sorted(leased) == list(jids)
    assert set(await pair[1].statuses(jids)) == {"done"}


async def test_one_process_alone_starts_bursts(pair: tuple[Shared, Shared]) -> None:
    """The leader alone starts slots: a map that both processes know of starts no more than there
    may be.
    """
    await pair[0].submit(100)
    await pair[1].submit(100)
    scheduler = pair[0].scheduler

    await pair[0].wait_until(lambda: _asked(scheduler), 2)
    await asyncio.gather(*(server.outcomes(range(1, 2), timeout_s=1.5) for server in pair))

    assert await _asked(scheduler) == 2


async def _asked(scheduler: RecordingScheduler) -> int:
    return sum(burst.count for burst in scheduler.bursts)


async def test_a_job_is_asked_about_at_the_other(pair: tuple[Shared, Shared]) -> None:
    """Info requested at one process comes from a slot whose heartbeat waits at the other."""
    one, two = pair
    jids = await one.submit(1)
    slot = await two.slot()
    lease = (await two.work(slot, wait_s=SOON_S)).leases[0]
    held = wire.AttemptRef(lease.batch, 0, lease.jobs[0].attempt)

    async def beat(live: list[wire.LiveAnswer]) -> list[wire.LiveQuery]:
        request = wire.HeartbeatRequest(running=[held], wait_s=SOON_S, live=live)
        return (await two.use_cases.slots.heartbeat.heartbeat(slot, request)).live

    beating = asyncio.create_task(beat([]))
    await one.wait_until(lambda: one.statuses(jids), ["processing"])
    request = wire.InfoRequest(jids=[(jids[0], jids[0])], keys=["stdout"])
    asking = asyncio.create_task(one.use_cases.jobs.info.info(ACCOUNT, request))

    async with asyncio.timeout(SOON_S):
        (query,) = await beating
        info = wire.pack_info(wire.Info(streams={"stdout": wire.Stream(0, b"seen from afar")}))
        beating = asyncio.create_task(beat([wire.LiveAnswer(query.number, info)]))
        (job,) = (await asking).jobs
    beating.cancel()

    assert job.values == {"stdout": "seen from afar"}
    assert await one.server.ports.state.scan("asked/") == []


async def test_streams_through_the_gateways_of_both(pair: tuple[Shared, Shared]) -> None:
    """Each process has one. The slot, whose heartbeat waits at one, connects to the gateway of that
    from which the client has its ticket.
    """
    one, two = pair
    jids = await one.submit(1)
    slot = await two.slot()
    lease = (await two.work(slot, wait_s=SOON_S)).leases[0]
    held = wire.AttemptRef(lease.batch, 0, lease.jobs[0].attempt)
    info = wire.pack_info(wire.Info(ports={"tcp": [8000], "udp": []}))
    orders: list[wire.TunnelOrder] = []

    async def beat() -> None:
        answers: list[wire.LiveAnswer] = []
        while True:
            request = wire.HeartbeatRequest(running=[held], wait_s=SOON_S, live=answers)
            answer = await two.use_cases.slots.heartbeat.heartbeat(slot, request)
            answers = [wire.LiveAnswer(query.number, info) for query in answer.live]
            orders.extend(query.tunnel for query in answer.live if query.tunnel is not None)

    beating = asyncio.create_task(beat())
    await one.wait_until(lambda: one.statuses(jids), ["processing"])
    asked = TunnelRequest(jid=jids[0], port=8000)
    try:
        async with asyncio.timeout(SOON_S):
            opened = [await each.use_cases.jobs.tunnel.open(ACCOUNT, asked) for each in pair]
            assert [order.gateway_port for order in orders] == [each.port for each in opened]
            for order, client in zip(orders, opened, strict=True):
                assert await carried(order, client) == b"through"
    finally:
        beating.cancel()
        for each in pair:
            await each.server.ports.gateway.close()

    assert opened[0].port != opened[1].port


async def carried(order: wire.TunnelOrder, client: TunnelOpened) -> bytes:
    """Return what arrives at the client's end of a stream: what this sends at the slot's."""
    ends = []
    for port, ticket in ((order.gateway_port, order.ticket), (client.port, client.ticket)):
        ends.append(await asyncio.open_connection("127.0.0.1", port))
        ends[-1][1].write(ticket.encode() + b"\n")
    (_, sender), (reader, receiver) = ends
    assert await reader.readline() == ACCEPTED
    sender.write(b"through")
    sender.write_eof()
    arrived = await reader.read()
    for writer in (sender, receiver):
        writer.close()
        await writer.wait_closed()
    return arrived


async def test_a_job_deleted_at_the_other_is_gone(pair: tuple[Shared, Shared]) -> None:
    """A job that was deleted at one process is deleted at the other."""
    one, two = pair
    jids = await one.submit(2)
    slot = await one.slot()
    while leases := (await one.work(slot)).leases:
        await one.work(slot, reports=[report_of(lease) for lease in leases], lease=False)
    await two.wait_until(lambda: two.statuses(jids), ["done", "done"])

    await one.use_cases.jobs.delete.delete(ACCOUNT, [(jids[1], jids[1])])

    with pytest.raises(JobDeleted):
        await two.statuses(jids)
    assert await two.statuses(jids[:1]) == ["done"]


async def test_a_leader_that_dies_at_each_due_time(tmp_path: Path, consul: running.Consul) -> None:
    """There is one job for each due time, whether the leader died before it was stored or right
    after: the other process leads then, and a new one takes its place.
    """
    scheduler, ahead_s = RecordingScheduler(), list[float]()
    processes = [await Mortal(tmp_path, consul, scheduler, ahead_s).start() for _ in range(2)]
    job = msgspec.structs.replace(processes[0].request(1), kind="call")
    schedule = CronSchedule(schedule="0 * * * *")
    request = RegisterCronRequest(label="hourly", schedule=schedule, job=job)
    due_at = (await processes[0].use_cases.crons.crons.register(ACCOUNT, request)).next_at[0]
    due: list[float] = []

    for dies in ("before", "after"):
        leader = await eventually(
            lambda: next((each for each in processes if each.leads), None), "a process leads"
        )
        assert leader is not None
        processes.remove(leader)
        leader.mortal.dies = dies  # type: ignore[assignment]
        due.append(due_at)
        ahead_s.append(due_at - leader.clock())
        await leader.mortal.has_died.wait()
        await leader.stop()
        crons = processes[0].use_cases.crons.crons

        async def is_run(crons: Crons = crons) -> bool:
            return (await crons.info(ACCOUNT, "hourly")).last_due_at == due[-1]

        await eventually(is_run, "the job of the due time is submitted")
        due_at += 3600
        processes.append(await Mortal(tmp_path, consul, scheduler, ahead_s).start())

    known = await processes[0].use_cases.crons.crons.info(ACCOUNT, "hourly")
    assert (known.last_jid, known.missed, known.problem) == (len(due), 0, "")
    listed = await processes[0].use_cases.jobs.listing.list(ACCOUNT, wire.ListRequest())
    assert [each.jid for each in listed.jobs] == [2, 1]
    for each in processes:
        await each.stop()
