"""References to blobs: what nothing names is returned, and little is read for that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from picloud_driver.blob.directory import DirectoryBlobs
from picloud_model import wire
from picloud_model.errors import ServerFault

from tests.unit.api.api_harness import ACCOUNT
from tests.unit.api.blob_history import BlobHistory, content
from tests.unit.api.job_info import report_with_infos
from tests.unit.api.recording_state import BoundedState

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness
    from tests.unit.api.conftest import StartApi

OTHER = content(b"other").digest


@pytest.fixture
async def api(start_api: StartApi) -> ApiHarness:
    """A server whose finished batches move to blobs."""
    return await start_api(BoundedState)


async def unreferenced(api: ApiHarness, *blobs: bytes) -> set[str]:
    """Return which of these blobs nothing refers to."""
    references = api.use_cases.storage.sweep._references
    return await references.unreferenced(ACCOUNT, {content(data).digest for data in blobs})


async def test_what_was_staged_is_referred_to(api: ApiHarness) -> None:
    """The submit has not come yet."""
    await BlobHistory(api).put(b"pack")
    part = wire.PackPart(0, 1000, content(b"pack"))
    staged = wire.StageRequest(submit_id=api.request(2000).submit_id, parts=[part])

    await api.use_cases.jobs.submit.stage(ACCOUNT, staged)

    assert await unreferenced(api, b"pack", b"other") == {OTHER}


async def test_arguments_are_referred_to(api: ApiHarness) -> None:
    """A large pack is a blob."""
    await BlobHistory(api).put(b"pack")
    request = replace(api.request(1), parts=[wire.PackPart(0, 1, content(b"pack"))])

    await api.send(request)

    assert await unreferenced(api, b"pack", b"other") == {OTHER}


async def test_a_large_info_is_referred_to(api: ApiHarness) -> None:
    """By the pack of the report, also when it is sealed."""
    history = BlobHistory(api)
    await history.put(b"info")
    await api.submit(1)
    slot = await api.slot()
    (lease,) = (await api.work(slot)).leases
    report = report_with_infos(lease, {0: content(b"info")})
    await api.work(slot, reports=[report], lease=False)
    assert await unreferenced(api, b"info", b"other") == {OTHER}

    api.now += 7200
    await api.server.background.sealer.seal_finished()

    assert await unreferenced(api, b"info", b"other") == {OTHER}


async def test_a_damaged_page_is_an_error(api: ApiHarness) -> None:
    """What it names is not known, so nothing may be deleted."""
    history = BlobHistory(api)
    await history.submit(b"function")
    await history.run()
    api.now += 7200
    await api.server.background.sealer.seal_finished()
    blobs = DirectoryBlobs(api.root / "blobs")
    (name,) = [name async for name in blobs.names("sealed/")]
    await blobs.delete(name)
    await blobs.put(name, b"damaged" * 100)

    assert await unreferenced(api, b"function") == set()
    with pytest.raises(ServerFault, match="damaged"):
        await unreferenced(api, b"other")
