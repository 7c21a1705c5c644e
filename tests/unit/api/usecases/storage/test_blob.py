"""Blobs: named by what they hold, separate for each account, sent where they are stored."""

from __future__ import annotations

import asyncio
import contextlib
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from picloud_api.store.small_blobs import SmallBlobs
from picloud_api.usecases.storage.blob import PIECE_BYTES, REFUSED_S, SMALL_BYTES, Blobs, StoredBlob
from picloud_api.usecases.storage.blob_use import BlobUse
from picloud_api.usecases.storage.known_blobs import KnownBlobs
from picloud_driver.blob import Presigned
from picloud_driver.blob.directory import DirectoryBlobs
from picloud_model.errors import BlobMissing, RequestRefused, TooLarge, Unavailable
from picloud_model.pack import INLINE_BYTES
from picloud_model.wire import READ_BYTES, Content, MissingBlobsRequest

from tests.contract.blob_adapters import file_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from picloud_driver.blob import BlobPort

    from tests.unit.api.api_harness import ApiHarness

ACCOUNT, OTHER = "a0000001", "a0000002"


class FullBlobs(DirectoryBlobs):
    """A blob store whose disk is full for what is larger than a byte."""

    async def put(self, name: str, data: bytes) -> bool:
        if len(data) > 1:
            raise Unavailable("the disk is full.")
        return await super().put(name, data)


class PresigningBlobs(DirectoryBlobs):
    """A blob store that clients may also reach themselves, as S3."""

    async def presign_put(self, name: str, size: int, sha256: str) -> Presigned | None:
        return Presigned(f"https://store/{name}?size={size}", {"x-sha256": sha256})

    async def presign_get(self, name: str) -> Presigned | None:
        return Presigned(f"https://store/{name}", {})


async def no_hold(size: int) -> None:
    """Count nothing."""


async def read(blobs: Blobs, digest: str) -> bytes:
    """Read a blob as it is sent, piece by piece."""
    blob = await blobs.get(ACCOUNT, digest)
    assert isinstance(blob, StoredBlob)
    data = b"".join([piece async for piece in blob.pieces()])
    assert len(data) == blob.size
    return data


def digest_of(data: bytes) -> str:
    """Return the SHA-256 of bytes, in hex."""
    return sha256(data).hexdigest()


def blobs_over(port: BlobPort, api: ApiHarness) -> Blobs:
    """Return the blobs in a store."""
    context = api.server.context
    clock = context.clock
    return Blobs(port, KnownBlobs(port, BlobUse(context), clock), SmallBlobs(clock), clock)


@pytest.fixture
def blobs(api: ApiHarness, tmp_path: Path) -> Blobs:
    """Blobs in a directory."""
    return blobs_over(DirectoryBlobs(tmp_path / "store"), api)


@pytest.fixture
def presigned(api: ApiHarness, tmp_path: Path) -> Blobs:
    """Blobs in a store that clients reach themselves."""
    return blobs_over(PresigningBlobs(tmp_path / "store"), api)


async def test_stored_blobs_are_read_in_the_order_of_the_digests(blobs: Blobs) -> None:
    """The store names each blob by its digest, and returns several in the requested order."""
    stored = await blobs.store(ACCOUNT, [b"one", b"two"])

    assert stored.digests == [digest_of(b"one"), digest_of(b"two")]
    assert (await blobs.read(ACCOUNT, stored.digests[::-1], no_hold)).blobs == [b"two", b"one"]
    assert await read(blobs, stored.digests[0]) == b"one"


async def test_an_account_has_only_its_own_blobs(blobs: Blobs) -> None:
    """A digest that another account has stored is missing here, and the error names it."""
    (digest,) = (await blobs.store(OTHER, [b"secret"])).digests

    answer = await blobs.missing(ACCOUNT, MissingBlobsRequest(digests=[digest]))

    assert [upload.digest for upload in answer.uploads] == [digest]
    for reading in (blobs.get(ACCOUNT, digest), blobs.read(ACCOUNT, [digest], no_hold)):
        with pytest.raises(BlobMissing) as missing:
            await reading
        assert missing.value.digests == (digest,)


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES + 7])
async def test_a_large_blob_is_sent_in_pieces(blobs: Blobs, size: int) -> None:
    """No more than a piece of it is in memory at once."""
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    (digest,) = (await blobs.store(ACCOUNT, [data])).digests

    blob = await blobs.get(ACCOUNT, digest)
    assert isinstance(blob, StoredBlob)
    assert max([len(piece) async for piece in blob.pieces()]) <= PIECE_BYTES
    assert await read(blobs, digest) == data


async def test_a_reply_holds_what_fits(blobs: Blobs) -> None:
    """A list that names a blob again and again makes no larger a reply, and reads it once."""
    digests = (await blobs.store(ACCOUNT, [b"x" * 2**20, b"y" * READ_BYTES + b"z"])).digests
    held: list[int] = []

    async def hold(size: int) -> None:
        held.append(size)

    reply = await blobs.read(ACCOUNT, digests[:1] * 10_000, hold)

    assert len(reply.blobs) == READ_BYTES // 2**20
    assert len({id(blob) for blob in reply.blobs}) == 1
    assert sum(held) == READ_BYTES
    assert len((await blobs.read(ACCOUNT, digests, hold)).blobs) == 1
    with pytest.raises(TooLarge, match="by GET"):
        await blobs.read(ACCOUNT, digests[1:], hold)


class SlowBlobs(DirectoryBlobs):
    """A store that counts how many requests run at once."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.running = self.most = self.reads = 0

    @contextlib.asynccontextmanager
    async def _one(self) -> AsyncIterator[None]:
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(0)
        yield
        self.running -= 1

    async def put(self, name: str, data: bytes) -> bool:
        async with self._one():
            return await super().put(name, data)

    async def get(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        self.reads += 1
        async with self._one():
            return await super().get(name, start, end)


async def test_several_small_blobs_are_stored_and_read_at_once(
    api: ApiHarness, tmp_path: Path
) -> None:
    """One after the other, the modules of a first call would cost a request of the store each."""
    store = SlowBlobs(tmp_path / "store")
    blobs = blobs_over(store, api)
    sent = [bytes([number]) * 1000 for number in range(20)] + [b"x" * (SMALL_BYTES + 1)]

    digests = (await blobs.store(ACCOUNT, sent)).digests
    stored_at_once, store.most = store.most, 0
    others = blobs_over(store, api)
    reply = await others.read(ACCOUNT, digests, no_hold)

    assert (stored_at_once, store.most) == (8, 8)
    assert reply.blobs == sent
    assert store.reads == len(sent) + 1  # the one that is not small, whole
    # What was read or stored a moment ago is read by each slot of a map.
    for each in (blobs, others):
        assert (await each.read(ACCOUNT, digests[:-1], no_hold)).blobs == sent[:-1]
    assert store.reads == len(sent) + 1


async def test_bytes_must_have_the_digest_they_are_sent_under(blobs: Blobs) -> None:
    """Other bytes are refused, and nothing is stored."""
    digest = digest_of(b"good")

    with pytest.raises(RequestRefused, match="do not have this digest"):
        await blobs.put(ACCOUNT, digest, b"bad")
    with pytest.raises(BlobMissing):
        await blobs.get(ACCOUNT, digest)

    await blobs.put(ACCOUNT, digest, b"good")
    assert await read(blobs, digest) == b"good"


async def test_large_blobs_are_sent_to_the_store_itself(presigned: Blobs) -> None:
    """Small blobs, and those of unknown size, go through the API."""
    small, large = "1" * 64, "2" * 64
    sizes = [INLINE_BYTES, INLINE_BYTES + 1]

    answer = await presigned.missing(
        ACCOUNT, MissingBlobsRequest(digests=[small, large], sizes=sizes)
    )
    unsized = await presigned.missing(ACCOUNT, MissingBlobsRequest(digests=[large]))

    urls = {upload.digest: upload.url for upload in answer.uploads}
    assert urls[small] == f"/v1/blobs/{small}"
    assert urls[large] == f"https://store/{ACCOUNT}/{large}?size={INLINE_BYTES + 1}"
    assert unsized.uploads[0].url == f"/v1/blobs/{large}"


async def test_a_blob_is_read_from_the_store_itself(presigned: Blobs) -> None:
    """The reply is an address; that of a missing blob is the usual error, not the store's."""
    (digest,) = (await presigned.store(ACCOUNT, [b"x"])).digests

    address = await presigned.get(ACCOUNT, digest)

    assert isinstance(address, Presigned)
    assert address.url == f"https://store/{ACCOUNT}/{digest}"
    with pytest.raises(BlobMissing):
        await presigned.get(ACCOUNT, "0" * 64)


async def test_sizes_go_with_digests(blobs: Blobs) -> None:
    """If sizes are given, there is one for each digest."""
    request = MissingBlobsRequest(digests=["0" * 64], sizes=[1, 2])

    with pytest.raises(RequestRefused) as refused:
        await blobs.missing(ACCOUNT, request)

    assert refused.value.field == "sizes"


async def test_checked_bytes_are_those_of_the_digest(blobs: Blobs, tmp_path: Path) -> None:
    """No other bytes are returned, and none of another size."""
    (digest,) = (await blobs.store(ACCOUNT, [b"four"])).digests
    await DirectoryBlobs(tmp_path).put(f"{ACCOUNT}/{digest_of(b'swap')}", b"others")

    assert await blobs.read_checked(ACCOUNT, Content(digest, 4), 4) == b"four"
    for content in (
        Content(digest, 3),
        Content(digest, 0),
        Content(digest, -1),
        Content(digest_of(b"swap"), 4),
        Content(digest_of(b"none"), 4),
    ):
        with pytest.raises(BlobMissing):
            await blobs.read_checked(ACCOUNT, content, 4)


async def test_a_blob_that_is_too_large_is_not_read(blobs: Blobs) -> None:
    """Its size is known before it is read; no more than that is read."""
    (digest,) = (await blobs.store(ACCOUNT, [b"fives"])).digests

    with pytest.raises(TooLarge):
        await blobs.read_checked(ACCOUNT, Content(digest, 5), 4)


async def test_that_bytes_could_not_be_stored_is_known_for_a_while(
    tmp_path: Path, api: ApiHarness
) -> None:
    """Their account alone; other bytes that were stored meanwhile say nothing of them."""
    blobs = blobs_over(FullBlobs(tmp_path / "store"), api)

    with pytest.raises(Unavailable):
        await blobs.store(ACCOUNT, [b"large"])
    await blobs.store(ACCOUNT, [b"1"])

    assert (blobs.refusal(ACCOUNT), blobs.refusal(OTHER)) == ("the disk is full.", "")
    api.now += REFUSED_S
    assert blobs.refusal(ACCOUNT) == ""


async def test_what_a_slot_heard_of_the_blob_store_is_known_for_a_while(
    presigned: Blobs, api: ApiHarness
) -> None:
    """The store that clients reach themselves answers only them."""
    failed = MissingBlobsRequest(digests=["0" * 64], failure="the blob store answered 507")

    await presigned.missing(ACCOUNT, failed)

    assert presigned.refusal(ACCOUNT) == failed.failure
    assert presigned.refusal(OTHER) == ""
    api.now += REFUSED_S
    assert presigned.refusal(ACCOUNT) == ""


async def test_files_of_a_process_of_this_machine_are_adopted(blobs: Blobs) -> None:
    """What a client has written counts as stored; what is not there is to be sent."""
    asked = await blobs.missing(ACCOUNT, MissingBlobsRequest(digests=[], files="where"))
    assert asked.files is not None
    data = b"x" * 1000
    written, lost = sha256(data).hexdigest(), sha256(b"lost").hexdigest()
    file_in(asked.files.incoming, written).write_bytes(data)

    request = MissingBlobsRequest(digests=[written, lost], sizes=[1000, 4], files="written")
    answer = await blobs.missing(ACCOUNT, request)

    assert [upload.digest for upload in answer.uploads] == [lost]
    assert await read(blobs, written) == data
    assert file_in(asked.files.blobs, written).exists()
    with pytest.raises(BlobMissing):
        await blobs.get(OTHER, written)


async def test_the_files_of_an_account_are_its_own(blobs: Blobs) -> None:
    """Each account has directories of its own, and those who do not ask learn of none."""
    request = MissingBlobsRequest(digests=[], files="where")

    first, second = [(await blobs.missing(each, request)).files for each in (ACCOUNT, OTHER)]

    assert first is not None
    assert second is not None
    assert not {first.blobs, first.incoming} & {second.blobs, second.incoming}
    assert (await blobs.missing(ACCOUNT, MissingBlobsRequest(digests=[]))).files is None
