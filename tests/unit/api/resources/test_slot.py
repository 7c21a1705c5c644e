"""`/v1/slots`, `/v1/work`, `/v1/heartbeat`: the life of a slot, over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_model import wire

from tests.unit.api.api_harness import report_of

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness
    from tests.unit.api.http_api import HttpApi


async def register(api: ApiHarness, http: HttpApi) -> str:
    """Register the slot of a place that the scheduler was to start; return its token."""
    proof = wire.SlotRequest(proof=(await api.slot()).slot.place)
    return (await http.post("/v1/slots", proof, wire.SlotGranted, "")).token


async def test_a_slot_registers_works_and_leaves(api: ApiHarness, http: HttpApi) -> None:
    """A proof buys a token; with it the slot leases, sends heartbeats, reports, and leaves."""
    token = await register(api, http)
    jids = await api.submit(1)

    (lease,) = (await http.post("/v1/work", wire.WorkRequest(), wire.WorkAnswer, token)).leases
    running = [wire.AttemptRef(lease.batch, 0, lease.jobs[0].attempt)]
    beat = wire.HeartbeatRequest(running=running, wait_s=0.0)
    heartbeat = await http.post("/v1/heartbeat", beat, wire.HeartbeatAnswer, token)
    assert await api.statuses(jids) == ["processing"]
    report = wire.WorkRequest(reports=[report_of(lease)], lease=False, leaving=True)
    await http.post("/v1/work", report, wire.WorkAnswer, token)

    assert heartbeat.lost == []
    assert await api.statuses(jids) == ["done"]
    refused = await http.refusal("/v1/work", wire.WorkRequest(), token)
    assert refused == (401, "slot.refused")


async def test_only_slots_work(api: ApiHarness, http: HttpApi) -> None:
    """An API key opens no address of slots, and a proof of no scheduler buys no token."""
    beat = wire.HeartbeatRequest(running=[], wait_s=0.0)

    refusals = [
        await http.refusal("/v1/work", wire.WorkRequest()),
        await http.refusal("/v1/heartbeat", beat),
        await http.refusal("/v1/slots", wire.SlotRequest(proof="none"), ""),
    ]

    assert {status for status, _ in refusals} == {401}
