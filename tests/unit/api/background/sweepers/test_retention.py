"""Retention: jobs are deleted some days after they ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from picloud_api.background.sweepers.retention import Retention
from picloud_model.errors import JobDeleted

from tests.unit.api.finished_jobs import run_printing, seal_all

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness


async def test_retention_deletes_what_ended_long_ago(api: ApiHarness) -> None:
    """Jobs that ended later stay, whenever they were made."""
    retention = Retention(
        api.server.context, api.server.background.leader, api.use_cases.jobs.delete, days=2
    )
    old = await run_printing(api, 3)
    await seal_all(api)
    api.now += 86_400
    young = await run_printing(api, 2)
    api.now += 86_400 + 60

    await retention.delete()

    with pytest.raises(JobDeleted):
        await api.statuses(old)
    assert await api.statuses(young) == ["done"] * 2
