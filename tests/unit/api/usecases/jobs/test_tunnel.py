"""Tunnels: the slot is asked to connect a port, and only the job's own ports are reached."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import asyncssh
import msgspec
import pytest
from picloud_driver.secret import ssh_certificate
from picloud_model import wire
from picloud_model.errors import JobNotFound, RequestRefused
from picloud_model.job import State
from picloud_model.wire.tunnel import CertificateRequest, TunnelRequest

from tests.unit.api.api_harness import ACCOUNT, report_of

if TYPE_CHECKING:
    from picloud_api.engine.process.slot_sessions import SlotSession
    from picloud_model.wire import HeartbeatAnswer
    from picloud_model.wire.tunnel import TunnelOpened

    from tests.unit.api.api_harness import ApiHarness

REQUEST = TunnelRequest(jid=1, port=8000)
KEY = ssh_certificate.public_line(bytes(32))


async def open_tunnel(
    api: ApiHarness,
    slot: SlotSession,
    job: wire.AttemptRef,
    ports: list[int],
    shell: bool = False,
) -> tuple[HeartbeatAnswer, TunnelOpened]:
    """Open a stream to job 1, or to a shell of it, and answer in the name of its slot, where a job
    listens on ports.
    """

    async def beat(live: list[wire.LiveAnswer]) -> HeartbeatAnswer:
        request = wire.HeartbeatRequest(running=[job], wait_s=5 if not live else 0, live=live)
        return await api.use_cases.slots.heartbeat.heartbeat(slot, request)

    jobs = api.use_cases.jobs
    request = jobs.shell.open(ACCOUNT, 1) if shell else jobs.tunnel.open(ACCOUNT, REQUEST)
    opening = asyncio.create_task(request)
    answer = await beat([])
    info = wire.Info(ports={"tcp": ports, "udp": []})
    await beat([wire.LiveAnswer(answer.live[0].number, wire.pack_info(info))])
    return answer, await opening


async def running_job(api: ApiHarness) -> tuple[SlotSession, wire.AttemptRef]:
    """Job 1 of the account, which runs, and its slot."""
    slot = await api.slot()
    await api.submit(1)
    lease = (await api.work(slot)).leases[0]
    job = wire.AttemptRef(lease.batch, 0, lease.jobs[0].attempt)
    await api.use_cases.slots.heartbeat.heartbeat(slot, wire.HeartbeatRequest([job], wait_s=0))
    return slot, job


async def test_the_slot_gets_an_order_and_the_client_a_ticket(api: ApiHarness) -> None:
    """Both name one gateway, with a ticket each."""
    slot, job = await running_job(api)
    try:
        answer, opened = await open_tunnel(api, slot, job, [8000])

        (query,) = answer.live
        assert query.job == job
        assert query.tunnel is not None
        assert (query.tunnel.port, query.tunnel.gateway_port) == (8000, opened.port)
        assert query.tunnel.ticket != opened.ticket
        with pytest.raises(RequestRefused, match="Job 1 does not listen on TCP port 8000"):
            await open_tunnel(api, slot, job, [22])
        with pytest.raises(JobNotFound):
            await api.use_cases.jobs.tunnel.open("a0000002", REQUEST)
    finally:
        await api.server.ports.gateway.close()


class Beats:
    """The heartbeats of a slot whose job listens on some ports, until they are stopped."""

    def __init__(self, api: ApiHarness, slot: SlotSession, job: wire.AttemptRef) -> None:
        self.ports: dict[str, list[int]] = {"tcp": [8000, 8001, 8002], "udp": [53]}
        self.orders: list[wire.TunnelOrder] = []
        self._api, self._slot, self._job = api, slot, job

    async def run(self) -> None:
        answers: list[wire.LiveAnswer] = []
        while True:
            request = wire.HeartbeatRequest(running=[self._job], wait_s=5, live=answers)
            answer = await self._api.use_cases.slots.heartbeat.heartbeat(self._slot, request)
            info = wire.pack_info(wire.Info(ports=self.ports))
            answers = [wire.LiveAnswer(query.number, info) for query in answer.live]
            self.orders += [query.tunnel for query in answer.live if query.tunnel is not None]


async def test_public_ports_have_an_address_until_the_job_ends(api: ApiHarness) -> None:
    """The other ones, and those of UDP, have none. Who connects needs no key: the slot is asked."""
    await api.submit(1, ports={8001: "private", 8000: "public"})
    slot = await api.slot()
    lease = (await api.work(slot)).leases[0]
    job = wire.AttemptRef(lease.batch, 0, lease.jobs[0].attempt)
    await api.use_cases.slots.heartbeat.heartbeat(slot, wire.HeartbeatRequest([job], wait_s=0))
    beats = Beats(api, slot, job)
    beating = asyncio.create_task(beats.run())
    try:
        request = wire.InfoRequest(jids=[(1, 1)], keys=["ports"])
        infos = await api.use_cases.jobs.info.info(ACCOUNT, request)
        ports = infos.jobs[0].values["ports"]
        reached = [ports["tcp"][port]["port"] for port in (8000, 8002)]
        assert len({*reached, 8000, 8002}) == 4
        assert ports["tcp"][8000]["address"] == "127.0.0.1"
        nowhere = {"address": None, "port": None}
        assert (ports["tcp"][8001], ports["udp"]) == (nowhere, {53: nowhere})

        _, writer = await asyncio.open_connection("127.0.0.1", reached[0])
        await api.wait_until(lambda: read_ports(beats), [8000])
        writer.close()

        # The job has closed the port meanwhile: the client's connection ends at once.
        beats.ports["tcp"].remove(8002)
        reader, writer = await asyncio.open_connection("127.0.0.1", reached[1])
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()
    finally:
        beating.cancel()
        await api.use_cases.jobs.public_ports.stop()
        await api.server.ports.gateway.close()


async def read_ports(beats: Beats) -> list[int]:
    """Return the ports of the streams that the slot was to open."""
    return [order.port for order in beats.orders]


async def test_the_slot_is_told_whom_to_let_in_to_a_shell(api: ApiHarness) -> None:
    """The certificate names what the slot requires, and the client knows the slot's key."""
    slot, job = await running_job(api)
    shells = api.use_cases.jobs.shell
    try:
        answer, opened = await open_tunnel(api, slot, job, [], shell=True)
    finally:
        await api.server.ports.gateway.close()

    order = answer.live[0].tunnel
    assert order is not None
    assert order.ssh is not None
    assert (order.port, order.gateway_port) == (22, opened.port)
    issued = await shells.certify(ACCOUNT, CertificateRequest(jid=1, public_key=KEY))
    certificate = asyncssh.import_certificate(issued.certificate)
    assert certificate.principals == [order.ssh.principal]
    assert certificate.signing_key.export_public_key().decode().strip() == order.ssh.authority
    host = asyncssh.import_private_key(order.ssh.host_key)
    assert host.export_public_key().decode().split()[:2] == issued.host_key.split()
    assert order.ssh.host_key not in repr(answer)


async def test_shells_are_of_running_jobs_of_the_account(api: ApiHarness) -> None:
    """No certificate and no stream for another account, or for a job that does not run."""
    await api.submit(1)
    shells = api.use_cases.jobs.shell
    request = CertificateRequest(jid=1, public_key=KEY)
    for account, error, text in (
        (ACCOUNT, RequestRefused, "Job 1 has not started"),
        ("a0000002", JobNotFound, "no job 1"),
    ):
        with pytest.raises(error, match=text):
            await shells.certify(account, request)
        with pytest.raises(error, match=text):
            await shells.open(account, 1)


@pytest.mark.parametrize(
    "key", ["", KEY + "\n", KEY + " comment", KEY[:-1], KEY.replace("ed25519", "rsa"), KEY + KEY]
)
def test_other_texts_are_no_public_keys(key: str) -> None:
    """Only a single key of type Ed25519, in one line."""
    with pytest.raises(msgspec.ValidationError, match="public_key"):
        wire.decode(msgspec.msgpack.encode({"jid": 1, "public_key": key}), CertificateRequest)


async def test_a_job_is_reached_although_its_beginning_was_not_reported_yet(
    api: ApiHarness,
) -> None:
    """It may listen before its slot has sent the heartbeat that says that it runs."""
    slot = await api.slot()
    await api.submit(1)
    lease = (await api.work(slot)).leases[0]
    job = wire.AttemptRef(lease.batch, 0, lease.jobs[0].attempt)

    answer, _ = await open_tunnel(api, slot, job, [8000])

    assert answer.live[0].job == job


async def test_a_job_that_does_not_run_cannot_be_reached(api: ApiHarness) -> None:
    """No gateway is started for it."""
    await api.submit(1)
    with pytest.raises(RequestRefused, match="Job 1 has not started"):
        await api.use_cases.jobs.tunnel.open(ACCOUNT, REQUEST)
    slot = await api.slot()
    lease = (await api.work(slot)).leases[0]
    await api.work(slot, reports=[report_of(lease, State.DONE)], lease=False)

    with pytest.raises(RequestRefused, match="Job 1 has ended"):
        await api.use_cases.jobs.tunnel.open(ACCOUNT, REQUEST)
