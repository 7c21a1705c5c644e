"""Results of calls: large ones are sent piece by piece, whole or recognisably not."""

from __future__ import annotations

import pickle
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace
from picloud_api.store.blob_name import blob_name
from picloud_api.store.rest_record import EndpointRecord
from picloud_api.store.small_blobs import SmallBlobs
from picloud_api.usecases.jobs.plain_result import PlainResults
from picloud_api.usecases.rest.call_result import LargeCallResult
from picloud_api.usecases.rest.result_reader import ResultReader
from picloud_api.usecases.storage.blob import PIECE_BYTES, Blobs
from picloud_api.usecases.storage.blob_use import BlobUse
from picloud_api.usecases.storage.known_blobs import KnownBlobs
from picloud_driver.blob.directory import DirectoryBlobs
from picloud_model import pack, wire
from picloud_model.errors import BlobMissing, InvokedJobFailed

from tests.unit.api.api_harness import ACCOUNT, ENVELOPE, ApiHarness, report_of

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 5 * 2**20 + 3


class RecordingBlobs(DirectoryBlobs):
    """A blob store that records how much of its blobs is read at once."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.largest = 0

    async def get(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        data = await super().get(name, start, end)
        self.largest = max(self.largest, len(data))
        return data


class LargeResults:
    """Results of jobs that are blobs."""

    def __init__(self, api: ApiHarness, root: Path) -> None:
        context = api.server.context
        self.api, self.store, self.held = api, RecordingBlobs(root), 0
        known = KnownBlobs(self.store, BlobUse(context), context.clock)
        self.blobs = Blobs(self.store, known, SmallBlobs(context.clock), context.clock)
        plain = PlainResults(api.use_cases.jobs.wait, self.blobs)
        self.results = ResultReader(plain, self.blobs)

    async def hold(self, size: int) -> Any:
        """Count bytes in memory."""
        self.held += size

        class Held:
            def keep(self, size: int) -> None:
                del size

        return Held()

    async def read(self, value: Any, encoding: Any, *, damaged: bool = False) -> LargeCallResult:
        """Return the result of a job that returned a value."""
        parcel = pack.seal(pickle.dumps(value, 5))
        digest = sha256(parcel).hexdigest()
        stored = parcel[:-9] + b"!" + parcel[-8:] if damaged else parcel
        await self.store.put(blob_name(ACCOUNT, digest), stored)
        (jid,) = await self.api.submit(1)
        slot = await self.api.slot()
        (lease,) = (await self.api.work(slot)).leases
        (ended,) = report_of(lease).ended
        report = replace(ended, payload=b"", blob=wire.Content(digest, len(parcel)))
        reports = [wire.Report(lease.batch, ENVELOPE, [report])]
        await self.api.work(slot, reports=reports, lease=False)
        record = EndpointRecord(
            job=self.api.request(1),
            parameters=[],
            takes_any=False,
            out_encoding=encoding,
            published_at=0.0,
        )
        found = await self.results.result(ACCOUNT, jid, record, self.hold, 0.0)
        assert isinstance(found, LargeCallResult)
        return found


@pytest.fixture
def large(api: ApiHarness, tmp_path: Path) -> LargeResults:
    """Results that are blobs."""
    return LargeResults(api, tmp_path)


@pytest.mark.parametrize(
    ("value", "encoding", "size", "sent"),
    [
        (b"x" * SIZE, "raw", SIZE, b"x" * SIZE),
        ("\xe9" * SIZE, "raw", None, b"\xc3\xa9" * SIZE),
        ("a" * SIZE + "\udcff\ud800", "raw", None, b"a" * SIZE + b"??"),
        ([b"x" * SIZE], "pickle", SIZE + 25, pickle.dumps([b"x" * SIZE], 5)),
    ],
    ids=["bytes", "text", "odd text", "pickle"],
)
async def test_a_large_result_is_sent_piece_by_piece(
    large: LargeResults, value: Any, encoding: str, size: int | None, sent: bytes
) -> None:
    """Never more than a piece of it is read at once, and its memory is counted."""
    found = await large.read(value, encoding)

    pieces = [piece async for piece in found.pieces]

    assert b"".join(pieces) == sent
    assert found.size == (None if size is None else len(sent))
    assert max(map(len, pieces)) <= 2 * PIECE_BYTES
    assert large.store.largest == PIECE_BYTES
    assert 0 < large.held < SIZE


async def test_a_result_that_is_too_large_for_json(large: LargeResults) -> None:
    """The error names the job, how to read its result, and the encodings that take it."""
    with pytest.raises(InvokedJobFailed) as refused:
        await large.read("x" * SIZE, "json")

    assert refused.value.message == (
        "The result of job 1 is larger than 4 MiB; read it with cloud.result(1) or "
        "`picloud result 1`, or publish the function with out_encoding='raw' if it returns bytes "
        "or text, else with 'pickle': results have up to 128 MiB then."
    )


async def test_a_damaged_result_is_not_whole(large: LargeResults) -> None:
    """Its end is missing, so that the receiver notices."""
    found = await large.read(b"x" * SIZE, "raw", damaged=True)
    received = 0

    with pytest.raises(BlobMissing):
        async for piece in found.pieces:
            received += len(piece)

    assert 0 < received < SIZE


async def test_a_large_result_must_be_bytes_or_text(large: LargeResults) -> None:
    """Others are refused before anything is sent."""
    with pytest.raises(InvokedJobFailed, match="must return bytes or text"):
        await large.read([b"x" * SIZE], "raw")
