"""Fixtures of the API's unit tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

from tests.unit.api.api_harness import ApiHarness
from tests.unit.api.http_api import HttpApi
from tests.unit.api.minting_secrets import MintingApi
from tests.unit.api.recording_state import RecordingState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class StartApi(Protocol):
    """Starts a server without sockets, over a state store of this type."""

    async def __call__(self, state_type: type[RecordingState] = ...) -> ApiHarness: ...


@pytest.fixture
async def start_api(tmp_path: Path) -> AsyncIterator[StartApi]:
    """Starts a server, which is stopped after the test."""
    started: list[ApiHarness] = []

    async def start(state_type: type[RecordingState] = RecordingState) -> ApiHarness:
        started.append(await ApiHarness(tmp_path, state_type).start())
        return started[-1]

    yield start
    for api in started:
        await api.stop()


@pytest.fixture
async def api(start_api: StartApi) -> ApiHarness:
    """A started server without sockets."""
    return await start_api()


@pytest.fixture
async def minting(tmp_path: Path) -> AsyncIterator[MintingApi]:
    """A server whose secret store mints, with the source `db`."""
    started = MintingApi(tmp_path)
    await started.start()
    await started.define()
    yield started
    await started.stop()


@pytest.fixture
def http(api: ApiHarness) -> HttpApi:
    """The HTTP interface of a started server."""
    return HttpApi(api)
