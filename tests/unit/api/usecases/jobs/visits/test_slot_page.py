"""Slot pages: administrators are led from a job to its slot in the scheduler's own pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_model import wire
from picloud_model.wire.role import Role

from tests.unit.api.key_owner import administrator_of, owner_of_second_account
from tests.unit.api.web_pages import WebPages

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness


async def test_the_slot_of_a_running_job_has_a_page(api: ApiHarness) -> None:
    """Only while the job runs, and for owners of the first account only."""
    slot = await api.slot()
    (jid,) = await api.submit(1)
    owner = (await administrator_of(api)).holder
    of_job = api.use_cases.jobs.slot_pages.of_job
    queued = await of_job(owner, jid)
    lease = (await api.work(slot)).leases[0]
    job = wire.AttemptRef(lease.batch, 0, lease.jobs[0].attempt)
    await api.use_cases.slots.heartbeat.heartbeat(slot, wire.HeartbeatRequest([job], wait_s=0))

    address = f"https://nomad.example/ui/allocations/{slot.slot.place}"
    assert (queued, await of_job(owner, jid)) == ("", address)
    assert await of_job(owner._replace(role=Role.MEMBER), jid) == ""
    assert await of_job((await owner_of_second_account(api)).holder, jid) == ""
    assert await of_job(owner, jid + 1) == ""


async def test_the_page_of_a_job_has_no_link_before_it_runs(api: ApiHarness) -> None:
    """A job that waits has no slot."""
    (jid,) = await api.submit(1)

    page = await (await WebPages(api).open()).send("GET", f"/jobs/{jid}")

    assert (page.status, "/ui/allocations/" in page.text) == (200, False)
