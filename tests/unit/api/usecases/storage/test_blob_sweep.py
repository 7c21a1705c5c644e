"""The sweep: what nothing has referred to for a day is deleted, and nothing else, ever."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import msgspec
import pytest
from picloud_api.store import layout
from picloud_api.store.blob_name import blob_name
from picloud_api.usecases.storage import blob_sweep
from picloud_api.usecases.storage.blob_sweep import BlobSweep
from picloud_driver.blob.directory import DirectoryBlobs
from picloud_model.wire.snapshot import Snapshot, SnapshotChunk, SnapshotEntry, referred
from picloud_model.wire.volume import CommitVolumeRequest, CreateVolumeRequest

from tests.unit.api.api_harness import ACCOUNT
from tests.unit.api.blob_history import DAY_S, HOUR_S, BlobHistory, bundle, content
from tests.unit.api.recording_state import BoundedState, RecordingState

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness
    from tests.unit.api.conftest import StartApi


@pytest.fixture(params=[RecordingState, BoundedState], ids=["kept", "bounded"])
async def history(start_api: StartApi, request: pytest.FixtureRequest) -> BlobHistory:
    """The jobs of an account, also over a state store that must stay small."""
    return BlobHistory(await start_api(request.param))


async def seal(api: ApiHarness) -> None:
    """Seal every finished batch, a little later."""
    api.now += 61
    await api.server.background.sealer.seal_finished()


async def sweep_until_clean(history: BlobHistory) -> None:
    """Sweep on three days."""
    for _ in range(3):
        history.api.now += DAY_S
        await history.sweep()


async def test_the_blobs_of_deleted_jobs_are_deleted_a_day_later(history: BlobHistory) -> None:
    """Function, modules, bundle and result; not before nothing has referred to them for a day."""
    jid = await history.submit(b"function", b"module")
    await history.run(result=b"result", large=True)
    await sweep_until_clean(history)
    await history.check()
    assert len(await history.stored()) == 4
    await history.delete(jid)
    await seal(history.api)

    history.api.now += DAY_S
    assert await history.sweep() == 0
    history.api.now += DAY_S - 1
    assert await history.sweep() == 0
    history.api.now += 1

    assert await history.sweep() == 4
    assert await history.stored() == set()


async def test_a_result_keeps_the_bundle_of_another_batch(history: BlobHistory) -> None:
    """It may hold objects of its classes: in the state store, when it is sealed, and in a blob."""
    for large in (False, True):
        made = await history.submit(b"f", b"class")
        await history.run()
        await history.submit(b"g", b"other")
        await history.run(result=b"object", needs=bundle(b"class"), large=large)
        await history.delete(made)
        await sweep_until_clean(history)
        await history.check()
        await seal(history.api)
        await sweep_until_clean(history)
        await history.check()


async def test_a_blob_that_is_used_again_stays(history: BlobHistory) -> None:
    """Whether it is sent again, or only named by a client that sent it long ago."""
    for sent in (False, True):
        await history.delete(await finished(history))
        history.api.now += DAY_S
        await history.sweep()
        history.api.now += DAY_S - 1

        await history.submit(b"function", b"module", sent=sent)
        history.api.now += HOUR_S
        await history.sweep()

        await history.check()
        await history.run()


async def finished(history: BlobHistory) -> int:
    """Submit a job and run it."""
    jid = await history.submit(b"function", b"module")
    await history.run()
    return jid


async def test_modules_that_were_deleted_are_sent_again(history: BlobHistory) -> None:
    """Though the client only names their bundle, and that is there."""
    await history.put(bundle(b"module"), b"function")

    await history.submit(b"function", b"module", sent=True)

    await history.check()


async def test_other_accounts_do_not_count(history: BlobHistory) -> None:
    """The same bytes are another blob in another account."""
    await history.submit(b"function")
    blobs = DirectoryBlobs(history.api.root / "blobs")
    await blobs.put(blob_name("a0000002", content(b"function").digest), b"function")

    for _ in range(2):
        history.api.now += DAY_S
        sweep = history.api.use_cases.storage.sweep
        await sweep.sweep("a0000002", DAY_S, lambda: True)

    assert [name async for name in blobs.names("a0000002/")] == []
    await history.check()


async def test_the_blobs_of_a_volume_are_deleted_with_it(history: BlobHistory) -> None:
    """Also those of its earlier snapshots; while it exists, all of them stay. A snapshot that was
    sent but never committed goes as well.
    """
    volumes = history.api.use_cases.storage.volumes
    await volumes.create(ACCOUNT, CreateVolumeRequest(name="data", mount_path="/data"))
    for number, data in enumerate((b"first", b"second")):
        sent = await sent_snapshot(history, data)
        await volumes.commit(ACCOUNT, CommitVolumeRequest(name="data", base=number, snapshot=sent))
    await sweep_until_clean(history)
    assert len(await history.stored()) == 6
    await sent_snapshot(history, b"never committed")
    await sweep_until_clean(history)
    assert len(await history.stored()) == 6

    await volumes.delete(ACCOUNT, "data")
    await sweep_until_clean(history)

    assert await history.stored() == set()


async def sent_snapshot(history: BlobHistory, data: bytes) -> str:
    """Store what a snapshot with one file is made of; return the digest of the snapshot."""
    part = content(data)
    entry = SnapshotEntry(path="a", kind="f", mode=0o644, size=len(data), parts=[part.digest])
    chunk = SnapshotChunk([entry])
    encoded = msgspec.msgpack.encode(chunk)
    ref = referred(chunk, content(encoded).digest, len(encoded))
    root = msgspec.msgpack.encode(Snapshot([ref]))
    await history.put(data, encoded, root)
    return content(root).digest


async def test_an_interrupted_sweep_loses_nothing(history: BlobHistory) -> None:
    """One that no longer leads stops; what it had written down is swept by a later one."""
    await history.put(*(b"%d" % number for number in range(200)))
    history.api.now += DAY_S
    await history.sweep()
    history.api.now += DAY_S
    calls = iter([True] * 40)

    sweep = BlobSweep(
        history.api.server.context,
        history.api.server.ports.blobs,
        history.api.use_cases.storage.sweep._references,
    )
    count = await sweep.sweep(ACCOUNT, DAY_S, lambda: next(calls, False))

    assert 0 < count < 200
    left = await history.stored()
    assert len(left) == 200 - count
    await history.put(*(b"%d" % number for number in range(200)))
    assert len(await history.stored()) == 200
    await sweep_until_clean(history)
    assert await history.stored() == set()


@pytest.mark.parametrize("seed", range(12))
async def test_no_history_loses_a_blob(history: BlobHistory, seed: int) -> None:
    """Random submits, results, deletions, seals, hours and sweeps; at the end all is deleted."""
    chance = random.Random(seed)
    words = [b"a", b"b", b"c"]
    for _ in range(40):
        step = chance.randrange(8)
        if step <= 1:
            await history.submit(
                chance.choice(words),
                *chance.sample(words, chance.randrange(3)),
                sent=chance.random() < 0.5,
            )
        elif step == 2:
            await run_some(history, chance, words)
        elif step == 3 and history.needed:
            await run_some(history, chance, words)
            await history.delete(chance.choice(list(history.needed)))
        elif step == 4:
            await seal(history.api)
        elif step == 5:
            history.api.now += chance.choice([HOUR_S, DAY_S / 2, DAY_S])
        else:
            history.api.now += HOUR_S
            await history.sweep(chance.choice([HOUR_S, DAY_S]))
        await history.check()

    await history.run()
    for jid in list(history.needed):
        await history.delete(jid)
    await seal(history.api)
    await sweep_until_clean(history)
    assert await history.stored() == set()


async def run_some(history: BlobHistory, chance: random.Random, words: list[bytes]) -> None:
    """Run what waits; its results may need the modules of another job that is there."""
    bundles = [bundle(word) for word in words]
    stored = await history.stored()
    live = {digest for digests in history.needed.values() for digest in digests} & stored
    known = [each for each in bundles if content(each).digest in live]
    needs = chance.choice([b"", *known])
    await history.run(result=chance.choice(words), needs=needs, large=chance.random() < 0.5)


async def test_uploads_during_a_sweep_are_kept(history: BlobHistory) -> None:
    """A client that sends what is being deleted waits for that, and then stores it again."""
    blobs = [b"%d" % number for number in range(300)]
    await history.put(*blobs)
    for _ in range(2):
        history.api.now += DAY_S
        sweeping = asyncio.create_task(history.sweep())
        while not sweeping.done():
            await history.put(*blobs)
            await asyncio.sleep(0)
        await sweeping

    assert {content(data).digest for data in blobs} == await history.stored()


def test_a_record_fits_into_a_transaction() -> None:
    """Of the store with the smallest ones."""
    record = blob_sweep.Unreferenced(
        digests=(bytes(32),) * blob_sweep.MOST_RECORDED,
        deleting=(bytes(32),) * blob_sweep.AT_ONCE,
        at=1e9,
        begun_at=1e9,
    )

    assert len(layout.encode(record)) < RecordingState.max_bytes / 2
