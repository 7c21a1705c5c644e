"""Warm slots of endpoints: of which pools slots are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace
from picloud_driver.scheduler import Pool
from picloud_model.wire.rest import EndpointInfo, PublishRequest

from tests.unit.api.api_harness import ACCOUNT

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness

POOL = Pool(ACCOUNT, "c1", 1)


async def publish(api: ApiHarness, label: str, warm: int, **options: Any) -> EndpointInfo:
    """Publish a function."""
    job = replace(api.request(1, **options), kind="call")
    request = PublishRequest(label=label, takes_any=True, warm=warm, job=job)
    return await api.use_cases.rest.endpoints.publish(ACCOUNT, request)


async def test_slots_are_those_that_run_the_calls(api: ApiHarness) -> None:
    """Endpoints of the same kind of slots add up; one without warm slots adds none."""
    assert (await publish(api, "a", 1)).warm == 1
    await publish(api, "b", 2)
    await publish(api, "c", 3, core_type="m1", cores=2)
    await publish(api, "d", 0)

    assert await api.use_cases.rest.warm.counts() == {POOL: 3, Pool(ACCOUNT, "m1", 2): 3}


async def test_they_are_those_of_the_latest_publication(api: ApiHarness) -> None:
    """Publishing again without them, or removing the endpoint, ends them."""
    endpoints, warm = api.use_cases.rest.endpoints, api.use_cases.rest.warm
    await publish(api, "a", 2)
    await publish(api, "b", 2)
    await publish(api, "a", 0)
    assert await warm.counts() == {POOL: 2}
    await publish(api, "b", 1)
    assert (await endpoints.rollback(ACCOUNT, "b", 1)).warm == 1
    assert await warm.counts() == {POOL: 1}

    await endpoints.remove(ACCOUNT, "b")

    assert await warm.counts() == {}


async def test_an_endpoint_without_its_environment_keeps_nothing(api: ApiHarness) -> None:
    """Other endpoints keep their slots."""
    await publish(api, "a", 1)
    await publish(api, "b", 1)
    view = api.server.context.commits.view
    stored = await view.fresh(f"endpoints/{ACCOUNT}/a")
    gone = replace(stored, job=replace(stored.job, options=replace(stored.job.options, env="gone")))

    async def plan(draft: Any) -> None:
        await draft.get(f"endpoints/{ACCOUNT}/a")
        draft.put(f"endpoints/{ACCOUNT}/a", gone)

    await api.server.context.commits.run(plan)

    assert await api.use_cases.rest.warm.counts() == {POOL: 1}
