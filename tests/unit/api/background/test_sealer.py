"""The sealer: what finished a while ago leaves the state store, if this process leads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from picloud_api.background.sealer import SEAL_AFTER_S
from picloud_api.store.records import Finished

from tests.unit.api.api_harness import report_of
from tests.unit.api.recording_state import BoundedState

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness
    from tests.unit.api.conftest import StartApi


@pytest.fixture
async def api(start_api: StartApi) -> ApiHarness:
    """A server whose state store has to stay small."""
    return await start_api(BoundedState)


async def finish_one(api: ApiHarness) -> range:
    """Submit a call and let a slot run it."""
    jids = await api.submit(1)
    slot = await api.slot()
    leases = (await api.work(slot)).leases
    await api.work(slot, reports=[report_of(lease) for lease in leases], lease=False)
    return jids


async def unsealed(api: ApiHarness) -> int:
    """Return how many finished batches wait to be sealed."""
    return len(await api.server.ports.state.scan(Finished.prefix))


async def test_a_batch_is_sealed_a_minute_after_its_end(api: ApiHarness) -> None:
    """Most results are fetched at once, and cost no read of a blob."""
    jids = await finish_one(api)
    assert await unsealed(api) == 1

    api.now += SEAL_AFTER_S
    await api.server.background.sealer.seal_finished()
    assert await unsealed(api) == 1
    api.now += 1
    await api.server.background.sealer.seal_finished()

    assert await unsealed(api) == 0
    assert await api.statuses(jids) == ["done"]


async def test_only_the_leader_seals(api: ApiHarness) -> None:
    """Two processes that seal the same batches would do everything twice."""
    await finish_one(api)
    api.now += SEAL_AFTER_S + 1
    autoscaler = api.server.background.autoscaler

    autoscaler.is_leader = False
    await api.server.background.sealer.seal_if_leader()
    assert await unsealed(api) == 1
    autoscaler.is_leader = True
    await api.server.background.sealer.seal_if_leader()

    assert await unsealed(api) == 0
