"""Endpoints: published by label, called as jobs."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace
from picloud_api.store.rest_record import version_key
from picloud_api.usecases.rest.call_address import Call
from picloud_api.usecases.rest.rest import call_id
from picloud_model import wire
from picloud_model.errors import EndpointNotFound, RequestRefused, SubmitChanged
from picloud_model.wire.rest import MAX_VERSIONS, InvokeRequest, Parameter, PublishRequest

from tests.unit.api.api_harness import ACCOUNT, hold
from tests.unit.api.recording_state import SharedRecordingState

if TYPE_CHECKING:
    from picloud_model.wire.rest import EndpointInfo

    from tests.unit.api.api_harness import ApiHarness
    from tests.unit.api.conftest import StartApi

OTHER = "a0000002"


def publication(api: ApiHarness, **changed: Any) -> PublishRequest:
    """Return a request that publishes a function of x."""
    job = replace(api.request(1), kind="call")
    fields = {"label": "e", "parameters": [Parameter(name="x", kind="int")], "job": job}
    return PublishRequest(**{**fields, **changed})  # type: ignore[arg-type]


async def publish(api: ApiHarness, **changed: Any) -> EndpointInfo:
    """Publish a function."""
    return await api.use_cases.rest.endpoints.publish(ACCOUNT, publication(api, **changed))


async def invoke(api: ApiHarness, *calls: dict[str, Any], submit_id: str = "") -> wire.Submitted:
    """Call it."""
    submit_id = submit_id or uuid.uuid4().hex
    request = InvokeRequest(label="e", submit_id=submit_id, calls=[*calls])
    return await api.use_cases.rest.endpoints.invoke(ACCOUNT, request)


async def test_each_call_is_a_job_with_the_label(api: ApiHarness) -> None:
    """Several calls of one request are a map."""
    await publish(api)

    one = await invoke(api, {"x": 1})
    three = await invoke(api, {"x": 1}, {"x": 2}, {"x": 3})

    assert (one.first, one.count) == (1, 1)
    assert (three.first, three.count) == (2, 3)
    listed = await api.use_cases.jobs.listing.list(ACCOUNT, wire.ListRequest(label="e"))
    assert [job.jid for job in listed.jobs] == [4, 3, 2, 1]


async def test_a_repeated_call_is_the_same_job(api: ApiHarness) -> None:
    """With other arguments it is refused."""
    await publish(api)
    first = await invoke(api, {"x": 1}, submit_id="a" * 32)

    assert await invoke(api, {"x": 1}, submit_id="a" * 32) == first
    with pytest.raises(SubmitChanged):
        await invoke(api, {"x": 2}, submit_id="a" * 32)


async def test_a_label_is_published_again(api: ApiHarness) -> None:
    """The new function replaces the old one; a repeated request changes nothing."""
    request = publication(api)
    first = await api.use_cases.rest.endpoints.publish(ACCOUNT, request)
    api.now += 5.0

    assert await api.use_cases.rest.endpoints.publish(ACCOUNT, request) == first
    second = await publish(api, parameters=[], takes_any=True)
    assert (second.published_at, second.parameters) == (api.now, [])
    assert await api.use_cases.rest.endpoints.info(ACCOUNT, "e") == second


async def test_earlier_versions_are_kept_and_come_back(api: ApiHarness) -> None:
    """A rollback exchanges two versions; repeated, it changes nothing."""
    endpoints = api.use_cases.rest.endpoints
    for takes_any in (False, True):
        await publish(api, takes_any=takes_any)

    assert [(await endpoints.info(ACCOUNT, "e", each)).takes_any for each in (1, 2, 0)] == [
        False,
        True,
        True,
    ]
    for _ in range(2):
        back = await endpoints.rollback(ACCOUNT, "e", 1)
        assert (back.version, back.versions, back.takes_any) == (1, [1, 2], False)
    assert (await endpoints.info(ACCOUNT, "e", 2)).takes_any
    assert (await publish(api)).version == 3
    assert (await endpoints.info(ACCOUNT, "e")).versions == [1, 2, 3]
    with pytest.raises(EndpointNotFound, match="no version 4: those that are kept are 1, 2, 3"):
        await endpoints.rollback(ACCOUNT, "e", 4)


async def test_the_oldest_versions_are_dropped(api: ApiHarness) -> None:
    """With the endpoint all of them are removed."""
    for _ in range(MAX_VERSIONS + 2):
        last = await publish(api)

    assert last.versions == list(range(3, MAX_VERSIONS + 3))
    with pytest.raises(EndpointNotFound, match="no version 2"):
        await api.use_cases.rest.endpoints.info(ACCOUNT, "e", 2)
    await api.use_cases.rest.endpoints.remove(ACCOUNT, "e")
    assert not await api.server.context.commits.view.scan(version_key(ACCOUNT))


async def test_endpoints_belong_to_an_account(api: ApiHarness) -> None:
    """Others find nothing under the label."""
    await publish(api)
    endpoints = api.use_cases.rest.endpoints

    with pytest.raises(EndpointNotFound):
        await endpoints.info(OTHER, "e")
    with pytest.raises(EndpointNotFound):
        await endpoints.remove(OTHER, "e")
    assert (await endpoints.list(OTHER)).endpoints == []
    assert [each.label for each in (await endpoints.list(ACCOUNT)).endpoints] == ["e"]
    await endpoints.remove(ACCOUNT, "e")
    with pytest.raises(EndpointNotFound):
        await invoke(api, {"x": 1})


async def test_a_misspelt_label_is_answered_with_the_nearest_one(api: ApiHarness) -> None:
    """The error that callers of the URL receive names no other label."""
    await publish(api, label="area")
    endpoints, near = api.use_cases.rest.endpoints, "'aera' in your account; did you mean 'area'?"
    request = InvokeRequest(label="aera", submit_id="a" * 32, calls=[{"x": 1}])

    for refused in (
        endpoints.invoke(ACCOUNT, request),
        endpoints.info(ACCOUNT, "aera"),
        endpoints.rollback(ACCOUNT, "aera", 1),
        endpoints.remove(ACCOUNT, "aera"),
        api.use_cases.rest.keys.list(ACCOUNT, "aera"),
    ):
        with pytest.raises(EndpointNotFound) as raised:
            await refused
        assert raised.value.message.endswith(near)
    with pytest.raises(EndpointNotFound) as raised:
        await endpoints.find(ACCOUNT, "aera")
    assert raised.value.message == "No function is published as 'aera' in your account."


async def test_only_a_single_call_is_published(api: ApiHarness) -> None:
    """Not a map, and nothing that waits for other jobs."""
    with pytest.raises(RequestRefused, match="is one call without dependencies"):
        await publish(api, job=api.request(2))


async def test_a_job_that_has_not_ended_has_no_result_yet(start_api: StartApi) -> None:
    """The caller asks again. A version that is known already is not read a second time."""
    api = await start_api(SharedRecordingState)
    await publish(api)
    endpoints, call = api.use_cases.rest.endpoints, Call((await invoke(api, {"x": 1})).first, 1)
    found = await endpoints.find(ACCOUNT, "e")
    before = len(api.state.reads)

    assert await endpoints.result(ACCOUNT, "e", call, hold, 0.0, found=found) is None
    assert len(api.state.reads) == before
    assert await endpoints.result(ACCOUNT, "e", call, hold, 0.0) is None
    assert len(api.state.reads) == before + 1


def test_the_id_of_a_call_is_that_of_its_key() -> None:
    """The same key of another endpoint or account is another call."""
    ids = {call_id(*each) for each in (("a", "b", "c"), ("a", "b", "d"), ("b", "b", "c"))}

    assert len(ids) == 3
    assert all(len(each) == 32 for each in ids)
