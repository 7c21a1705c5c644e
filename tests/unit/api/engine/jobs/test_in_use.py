"""What unfinished jobs use is refused, and they are named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from picloud_api.engine.jobs.in_use import refuse_in_use
from picloud_model.errors import RequestRefused
from picloud_model.wire.volume import CreateVolumeRequest

from tests.unit.api.api_harness import ACCOUNT, report_of

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness


async def test_unfinished_jobs_that_use_a_volume_are_found(api: ApiHarness) -> None:
    """Waiting, queued and running ones, until the last has ended; not those without it."""
    volumes, view = api.use_cases.storage.volumes, api.server.context.commits.view
    await volumes.create(ACCOUNT, CreateVolumeRequest(name="a", mount_path="/data"))
    using = await api.submit(3, vols=["a"])
    await api.submit(1)
    slot = await api.slot()

    with pytest.raises(RequestRefused, match="'a' is in use by jobs 1-3: wait until"):
        await volumes.delete(ACCOUNT, "a")
    while leases := (await api.work(slot, lease=True)).leases:
        await api.work(slot, lease=False, reports=[report_of(each) for each in leases])
    assert await api.statuses(using) == ["done"] * 3

    await refuse_in_use(view, ACCOUNT, "It", lambda header: "a" in header.options.vols)
    await volumes.delete(ACCOUNT, "a")


async def test_one_job_that_uses_a_volume_is_named(api: ApiHarness) -> None:
    """The error says what to do with it."""
    volumes = api.use_cases.storage.volumes
    await volumes.create(ACCOUNT, CreateVolumeRequest(name="a", mount_path="/data"))
    await api.submit(1, vols=["a"])

    with pytest.raises(RequestRefused, match="by job 1: wait until it has ended, or kill it"):
        await volumes.delete(ACCOUNT, "a")
