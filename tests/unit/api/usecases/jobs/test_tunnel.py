"""Tunnels: the slot is asked to connect a port, and only the job's own ports are reached."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from picloud_model import wire
from picloud_model.errors import JobNotFound, RequestRefused
from picloud_model.job import State
from picloud_model.wire.tunnel import TunnelRequest

from tests.unit.api.api_harness import ACCOUNT, report_of

if TYPE_CHECKING:
    from picloud_api.engine.process.slot_sessions import SlotSession
    from picloud_model.wire import HeartbeatAnswer
    from picloud_model.wire.tunnel import TunnelOpened

    from tests.unit.api.api_harness import ApiHarness

REQUEST = TunnelRequest(jid=1, port=8000)


async def open_tunnel(
    api: ApiHarness, slot: SlotSession, job: wire.AttemptRef, ports: list[int]
) -> tuple[HeartbeatAnswer, TunnelOpened]:
    """Open a stream to job 1, and answer in the name of its slot, where a job listens on ports."""

    async def beat(live: list[wire.LiveAnswer]) -> HeartbeatAnswer:
        request = wire.HeartbeatRequest(running=[job], wait_s=5 if not live else 0, live=live)
        return await api.use_cases.slots.heartbeat.heartbeat(slot, request)

    opening = asyncio.create_task(api.use_cases.jobs.tunnel.open(ACCOUNT, REQUEST))
    answer = await beat([])
    info = wire.Info(ports={"tcp": ports, "udp": []})
    await beat([wire.LiveAnswer(answer.live[0].number, wire.pack_info(info))])
    return answer, await opening


async def test_the_slot_gets_an_order_and_the_client_a_ticket(api: ApiHarness) -> None:
    """Both name one gateway, with a ticket each."""
    slot = await api.slot()
    await api.submit(1)
    lease = (await api.work(slot)).leases[0]
    job = wire.AttemptRef(lease.batch, 0, lease.jobs[0].attempt)
    await api.use_cases.slots.heartbeat.heartbeat(slot, wire.HeartbeatRequest([job], wait_s=0))
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
