"""Endpoints as they were found: which ones are called as they are in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from picloud_model.wire.application import APPLICATION
from picloud_model.wire.rest import Parameter, PublishRequest

from tests.unit.api.api_harness import ACCOUNT
from tests.unit.api.recording_state import RecordingState, SharedRecordingState

if TYPE_CHECKING:
    from picloud_model.wire.rest import OutEncoding

    from tests.unit.api.conftest import StartApi


@pytest.mark.parametrize(
    ("state_type", "out_encoding", "calls_per_minute", "expected"),
    [
        (SharedRecordingState, "json", 0, True),
        (SharedRecordingState, "json", 60, False),
        (SharedRecordingState, APPLICATION, 0, False),
        (RecordingState, "json", 0, False),
    ],
)
async def test_functions_without_rate_limit_are_remembered(
    start_api: StartApi,
    state_type: type[RecordingState],
    out_encoding: OutEncoding,
    calls_per_minute: int,
    expected: bool,
) -> None:
    """A limit must be counted as it is now, and an application gets the request as it is. Where no
    other process writes, memory is never old.
    """
    api = await start_api(state_type)
    endpoints = api.use_cases.rest.endpoints
    request = PublishRequest(
        label="e",
        parameters=[Parameter(name="x")],
        job=replace(api.request(1), kind="call"),
        out_encoding=out_encoding,
        calls_per_minute=calls_per_minute,
    )
    await endpoints.publish(ACCOUNT, request)

    found = endpoints.remembered(ACCOUNT, "e")

    assert (found is not None and found.is_remembered) is expected
    assert endpoints.remembered(ACCOUNT, "other") is None
    assert not (await endpoints.find(ACCOUNT, "e")).is_remembered
