"""Results as JSON: read without unpickling, in bounded size, and only once the job is done."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import msgspec
import pytest
from picloud_api.store.small_blobs import SmallBlobs
from picloud_api.usecases.jobs.plain_result import PlainResults
from picloud_api.usecases.storage.blob import Blobs
from picloud_api.usecases.storage.blob_use import BlobUse
from picloud_api.usecases.storage.known_blobs import KnownBlobs
from picloud_driver.blob.directory import DirectoryBlobs
from picloud_model import pack, wire
from picloud_model.errors import JobNotFound, NotFound, RequestRefused, Unavailable
from picloud_model.plain_value import MAX_BYTES

from tests.unit.api.api_harness import ACCOUNT, ENVELOPE, ApiHarness, hold, report_of

if TYPE_CHECKING:
    from pathlib import Path


async def done(api: ApiHarness, **changed: object) -> int:
    """Return the jid of a job that was reported with some values."""
    (jid,) = await api.submit(1)
    slot = await api.slot()
    (lease,) = (await api.work(slot)).leases
    (ended,) = report_of(lease).ended
    report = msgspec.structs.replace(ended, **changed)
    await api.work(slot, reports=[wire.Report(lease.batch, ENVELOPE, [report])], lease=False)
    return jid


class RecordingBlobs(DirectoryBlobs):
    """A blob store in which every name has bytes; it records how many are read."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.reads: list[int] = []

    async def get(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        assert end is not None
        self.reads.append(end - start)
        return b"x" * (end - start)


@pytest.fixture
def results(api: ApiHarness) -> PlainResults:
    """The use case."""
    return api.use_cases.jobs.plain_result


async def test_a_result_is_read_once_the_job_is_done(
    api: ApiHarness, results: PlainResults
) -> None:
    """Before that the request may be repeated; it does not wait."""
    (queued,) = await api.submit(1)
    with pytest.raises(Unavailable, match=f"Job {queued} has not ended"):
        await results.read(ACCOUNT, queued, hold)
    await api.use_cases.jobs.kill.kill(ACCOUNT, [(queued, queued)])

    jid = await done(api, payload=pack.seal(pickle.dumps((1, "a"), 5)))

    assert await results.read(ACCOUNT, jid, hold) == b'[1,"a"]'


async def test_a_job_of_another_account_does_not_exist(
    api: ApiHarness, results: PlainResults
) -> None:
    """Nothing is read for another account than that of the request."""
    jid = await done(api, payload=pack.seal(pickle.dumps(1, 5)))

    with pytest.raises(JobNotFound):
        await results.read("a0000002", jid, hold)


async def test_a_blob_that_is_too_large_is_not_read(api: ApiHarness, tmp_path: Path) -> None:
    """Its size is stored with the job; a slot that reports a smaller one gets no more read."""
    blobs = RecordingBlobs(tmp_path)
    context = api.server.context
    known = KnownBlobs(blobs, BlobUse(context), context.clock)
    stored = Blobs(blobs, known, SmallBlobs(context.clock), context.clock)
    results = PlainResults(api.use_cases.jobs.wait, stored)
    large = await done(api, payload=b"", blob=wire.Content("0" * 64, MAX_BYTES + 9))
    lie = await done(api, payload=b"", blob=wire.Content("0" * 64, 5))

    with pytest.raises(RequestRefused, match="is larger than 4 MiB"):
        await results.read(ACCOUNT, large, hold)
    assert blobs.reads == []
    with pytest.raises(NotFound, match="is no longer stored"):
        await results.read(ACCOUNT, lie, hold)
    assert blobs.reads == [5]
