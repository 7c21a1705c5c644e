"""Removals: requests that are repeated because their reply was lost."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from picloud_api.engine.process.removal import RemovalRecord
from picloud_model.errors import CronNotFound, EndpointNotFound, KeyNotFound
from picloud_model.wire.cron import CronSchedule, RegisterCronRequest
from picloud_model.wire.rest import (
    EndpointKeyRequest,
    PublishRequest,
    RevokeEndpointKeyRequest,
)

from tests.unit.api.api_harness import ACCOUNT

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness


async def register(api: ApiHarness) -> None:
    """Register a cron job."""
    schedule = CronSchedule(schedule="0 * * * *")
    job = replace(api.request(1), kind="call")
    request = RegisterCronRequest(label="a", schedule=schedule, job=job)
    await api.use_cases.crons.crons.register(ACCOUNT, request)


async def publish(api: ApiHarness) -> None:
    """Publish a function."""
    request = PublishRequest(label="a", job=replace(api.request(1), kind="call"))
    await api.use_cases.rest.endpoints.publish(ACCOUNT, request)


async def test_a_repeated_removal_of_a_cron_job_changes_nothing(api: ApiHarness) -> None:
    """Neither is it refused, nor does it remove what has been registered since."""
    crons, once = api.use_cases.crons.crons, uuid.uuid4().hex
    await register(api)

    for _ in range(2):
        await crons.deregister(ACCOUNT, "a", once)
    await register(api)
    await crons.deregister(ACCOUNT, "a", once)

    assert (await crons.info(ACCOUNT, "a")).label == "a"
    await crons.deregister(ACCOUNT, "a", uuid.uuid4().hex)
    with pytest.raises(CronNotFound):
        await crons.deregister(ACCOUNT, "a", uuid.uuid4().hex)


async def test_a_repeated_removal_of_an_endpoint_changes_nothing(api: ApiHarness) -> None:
    """As with cron jobs."""
    endpoints, once = api.use_cases.rest.endpoints, uuid.uuid4().hex
    await publish(api)

    for _ in range(2):
        await endpoints.remove(ACCOUNT, "a", once)
    await publish(api)
    await endpoints.remove(ACCOUNT, "a", once)

    assert (await endpoints.info(ACCOUNT, "a")).label == "a"
    await endpoints.remove(ACCOUNT, "a", uuid.uuid4().hex)
    with pytest.raises(EndpointNotFound):
        await endpoints.remove(ACCOUNT, "a", uuid.uuid4().hex)


async def test_a_repeated_revocation_of_a_key_changes_nothing(api: ApiHarness) -> None:
    """Another request learns that there is no such key."""
    keys, once = api.use_cases.rest.keys, uuid.uuid4().hex
    await publish(api)
    made = await keys.create(ACCOUNT, EndpointKeyRequest(label="a", request_id=uuid.uuid4().hex))

    for _ in range(2):
        await keys.revoke(ACCOUNT, RevokeEndpointKeyRequest("a", made.id, once))

    assert (await keys.list(ACCOUNT, "a")).keys == []
    with pytest.raises(KeyNotFound):
        await keys.revoke(ACCOUNT, RevokeEndpointKeyRequest("a", made.id))


async def test_a_removal_that_is_refused_is_not_recorded(api: ApiHarness) -> None:
    """It takes effect if it is sent again once there is something to remove."""
    crons, once = api.use_cases.crons.crons, uuid.uuid4().hex
    with pytest.raises(CronNotFound):
        await crons.deregister(ACCOUNT, "a", once)
    await register(api)

    await crons.deregister(ACCOUNT, "a", once)

    assert (await crons.list(ACCOUNT)).crons == []


async def test_the_record_of_removals_stays_small(api: ApiHarness) -> None:
    """The oldest are dropped."""
    await publish(api)

    for number in range(70):
        await register(api)
        await api.use_cases.crons.crons.deregister(ACCOUNT, "a", f"{number:032x}")

    record = await api.server.context.commits.view.fresh(RemovalRecord.prefix + ACCOUNT)
    assert record.requests == tuple(f"{number:032x}" for number in range(6, 70))
