"""The stage sweeper: what was sent ahead of a submit is deleted if none comes within an hour."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from picloud_api.background.sweepers.stage_sweeper import KEPT_S
from picloud_api.store import layout
from picloud_model import wire
from picloud_model.errors import PiCloudError

from tests.unit.api.api_harness import ACCOUNT

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness


async def stage(api: ApiHarness, count: int) -> wire.SubmitRequest:
    """Stage all packs but the last one; return the submit that belongs to them."""
    request = api.request(count)
    *ahead, last = request.parts
    staged = wire.StageRequest(submit_id=request.submit_id, parts=ahead)
    await api.use_cases.jobs.submit.stage(ACCOUNT, staged)
    return replace(request, parts=[last])


async def stored(api: ApiHarness, request: wire.SubmitRequest) -> int:
    """Count the keys of a batch that are stored ahead of its submit."""
    prefixes = *layout.stored_ahead(ACCOUNT, request.submit_id), layout.staged(ACCOUNT, "")
    state = api.server.ports.state
    return sum([len(await state.scan(prefix)) for prefix in prefixes])


async def test_packs_without_a_submit_are_deleted_after_an_hour(api: ApiHarness) -> None:
    """All of them, with the record of them; a submit that comes later is refused."""
    request = await stage(api, 40_000)
    before = await stored(api, request)
    api.now += KEPT_S
    await api.server.background.stage_sweeper.sweep()
    assert await stored(api, request) == before

    api.now += 1
    await api.server.background.stage_sweeper.sweep()

    assert before == 40
    assert await stored(api, request) == 0
    with pytest.raises(PiCloudError):
        await api.send(request)


async def test_a_submitted_batch_is_not_swept(api: ApiHarness) -> None:
    """Its packs are the arguments of its jobs."""
    request = await stage(api, 3000)
    jids = await api.send(request)
    before = await stored(api, request)

    api.now += KEPT_S + 1
    await api.server.background.stage_sweeper.sweep()

    assert await stored(api, request) == before
    assert len(jids) == 3000
