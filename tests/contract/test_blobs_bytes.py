"""What every blob store promises of the bytes it keeps: whole, once, forever, and by ranges."""

import asyncio
import itertools
import multiprocessing
import os
import signal
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from picloud_driver.blob import BlobPort
from picloud_model.errors import BlobMissing, RequestRefused

from tests.contract.blob_adapters import MIB, Site, collected, run
from tests.polling import DEADLINE_S, eventually

# --- put ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 256 * 1024, 256 * 1024 + 1, 3 * MIB])
async def test_bytes_come_back_as_they_were_put(blobs: BlobPort, size: int) -> None:
    """A blob of any size, empty ones included, is read as it was written."""
    data = os.urandom(size)

    assert await blobs.put("a/blob", data) is True
    assert await blobs.get("a/blob") == data
    assert await blobs.size("a/blob") == size


async def test_a_taken_name_stays_as_it_was(blobs: BlobPort) -> None:
    """A second put returns False and changes nothing."""
    await blobs.put("a", b"first")

    assert await blobs.put("a", b"second") is False
    assert await blobs.get("a") == b"first"


async def test_of_many_writers_one_wins(blob_site: Site) -> None:
    """Of concurrent puts of one name, through several ports, one returns True and is stored."""
    ports = [blob_site.open() for _ in range(6)]
    # Sizes on both sides of every border between ways to write.
    bodies = [bytes([at]) * (300 * 1024 if at % 2 else 100) for at in range(6)]

    def put(at: int, name: str) -> bool:
        return asyncio.run(ports[at].put(name, bodies[at]))

    for round_ in range(30):
        name = f"raced/{round_}"
        won = await asyncio.gather(*(asyncio.to_thread(put, at, name) for at in range(6)))
        assert won.count(True) == 1
        assert await ports[0].get(name) == bodies[won.index(True)]


def _put_and_die(blob_site: Site, body: bytes) -> None:
    async def put() -> None:
        await blob_site.open().put("kept/small", b"small")
        await blob_site.open().put("kept/large", body)

    asyncio.run(put())
    os.kill(os.getpid(), signal.SIGKILL)


async def test_a_completed_put_outlives_its_process(blob_site: Site) -> None:
    """A blob that was put exists even if its writer was killed right afterwards."""
    body = os.urandom(2 * MIB)

    assert run(_put_and_die, blob_site, body) == -signal.SIGKILL

    blobs = blob_site.open()
    assert await blobs.get("kept/small") == b"small"
    assert await blobs.get("kept/large") == body


def _put_forever(blob_site: Site, body_size: int) -> None:
    async def put() -> None:
        opened = blob_site.open()
        for number in itertools.count():
            await opened.put(f"cut/{number}", bytes(body_size))

    asyncio.run(put())


async def test_a_crash_while_writing_leaves_nothing(blob_site: Site) -> None:
    """Each name of a writer killed half-way holds the whole blob, or nothing and can be put."""
    size = 32 * MIB
    writer = multiprocessing.get_context("spawn").Process(
        target=_put_forever, args=(blob_site, size)
    )
    writer.start()
    await eventually(blob_site.is_written_to, "a write began")
    writer.kill()
    await asyncio.to_thread(writer.join, DEADLINE_S)

    blobs = blob_site.open()
    there = await collected(blobs.names("cut/"))

    assert writer.exitcode == -signal.SIGKILL
    for name in there:
        assert await blobs.get(name, size - 1) == b"\0"
    assert await blobs.put(f"cut/{len(there)}", b"again") is True


async def test_a_reader_never_sees_a_part(blob_site: Site) -> None:
    """While a blob is written, a reader finds nothing, and then all of it."""
    size = 32 * MIB
    body = bytes(size)
    reader, writer = blob_site.open(), blob_site.open()
    writing = threading.Thread(target=lambda: asyncio.run(writer.put("slow", body)))
    seen = set()
    writing.start()

    while writing.is_alive():
        try:
            seen.add(len(await reader.get("slow")))
        except BlobMissing:
            seen.add(-1)
    writing.join()

    assert seen <= {-1, size}
    assert len(await reader.get("slow")) == size


# --- get ------------------------------------------------------------------------------------------


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(start=st.integers(0, 40), end=st.none() | st.integers(0, 40))
def test_a_range_is_a_slice(blob_site: Site, start: int, end: int | None) -> None:
    """`start .. end-1`, to the last by default; of a range past the end there is what there is."""
    data = bytes(range(30))

    async def read() -> bytes:
        blobs = blob_site.open()
        await blobs.put("ranged", data)
        return await blobs.get("ranged", start, end)

    assert asyncio.run(read()) == data[start:end]


async def test_a_range_of_a_large_blob(blobs: BlobPort) -> None:
    """Ranges of more and of less than what is read at once are the same bytes."""
    data = os.urandom(4 * MIB)
    await blobs.put("large", data)

    assert await blobs.get("large", 1, 3 * MIB) == data[1 : 3 * MIB]
    assert await blobs.get("large", 3 * MIB, 3 * MIB + 5) == data[3 * MIB : 3 * MIB + 5]


@pytest.mark.parametrize(("start", "end"), [(-1, None), (0, -1)])
async def test_a_negative_range_is_refused(blobs: BlobPort, start: int, end: int | None) -> None:
    """A range cannot begin before the first byte."""
    await blobs.put("a", b"bytes")

    with pytest.raises(RequestRefused):
        await blobs.get("a", start, end)


async def test_a_missing_blob_is_said_to_be_missing(blobs: BlobPort) -> None:
    """A missing blob has no bytes and no size, even if its name is a part of another's."""
    await blobs.put("a/b/c", b"bytes")

    for name in ("b", "a", "a/b", "a/b/c/d"):
        with pytest.raises(BlobMissing):
            await blobs.get(name)
        with pytest.raises(BlobMissing):
            await blobs.size(name)
