"""Sealing: history moves from the state store into blobs, unnoticed by clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import msgspec
import pytest
from picloud_api.engine.jobs.locate import locate
from picloud_api.store import layout
from picloud_api.store.records import Key, Sealed
from picloud_api.store.sealing import AT_ONCE
from picloud_model import wire
from picloud_model.errors import JobDeleted, KeyRefused, ServerFault
from picloud_model.job import State

from tests.unit.api.api_harness import ACCOUNT, report_of
from tests.unit.api.finished_jobs import SECRET, delete_jobs, run_printing, seal_all
from tests.unit.api.recording_state import BoundedState

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness
    from tests.unit.api.conftest import StartApi


@pytest.fixture
async def api(start_api: StartApi) -> ApiHarness:
    """A server whose state store has to stay small."""
    return await start_api(BoundedState)


async def run(api: ApiHarness, count: int) -> range:
    """Submit a map and run every job of it."""
    jids = await api.submit(count)
    slot = await api.slot()
    while leases := (await api.work(slot)).leases:
        await api.work(slot, reports=[report_of(lease) for lease in leases], lease=False)
    return jids


async def kept(api: ApiHarness) -> set[str]:
    """Return the kinds of keys that are in the state store."""
    found = await api.server.ports.state.scan("")
    return {entry.key.partition("/")[0] for entry in found}


async def test_finished_batches_leave_the_state_store(api: ApiHarness) -> None:
    """A minute after its last job a batch's pages and packs are a blob; its header stays."""
    jids = await run(api, 2500)
    before = await api.outcomes(jids)
    await api.server.background.sealer.seal_finished()
    assert {"pages", "packs"} <= await kept(api)

    api.now += 3600
    await api.server.background.sealer.seal_finished()

    assert not {"pages", "packs", "finished", "ready"} & await kept(api)
    assert await api.outcomes(jids) == before


async def test_sealed_jobs_answer_as_before(api: ApiHarness) -> None:
    """Status, result and kill of a sealed job are those of a finished one, after a restart too."""
    jids = await run(api, 3)
    before = await api.outcomes(jids)
    api.now += 3600
    await api.server.background.sealer.seal_finished()
    await api.stop()
    await api.start()

    assert await api.statuses(jids) == ["done"] * 3
    assert await api.outcomes(jids) == before
    assert (await api.use_cases.jobs.kill.kill(ACCOUNT, [(jids[0], jids[-1])])).count == 0


async def test_sealed_pages_are_read_with_the_others(api: ApiHarness) -> None:
    """A read of many pages also returns those that were sealed."""
    first = (await run(api, 1))[0]
    api.now += 3600
    await api.server.background.sealer.seal_finished()
    await api.submit(1)
    view = api.server.context.commits.view
    names = [
        layout.page(piece.page_id) for piece in await locate(view, ACCOUNT, [(first, first + 1)])
    ]
    view.forget(names)

    await view.load(names)

    assert [view.peek(name).state for name in names] == [bytes([State.DONE]), bytes([State.QUEUED])]


class SmallBoundedState(BoundedState):
    """One with transactions of three operations."""

    max_operations: ClassVar[int] = 3


@pytest.mark.parametrize("commits", range(4))
async def test_an_interrupted_seal_is_finished_later(api: ApiHarness, commits: int) -> None:
    """A crash between the blobs and the removal of the keys, or within it, loses nothing."""
    jids = await run(api, 1500)
    before = await api.outcomes(jids)
    await api.stop()
    api.state_type = SmallBoundedState
    await api.start()

    async def fail_after() -> None:
        if len(api.state.commits) > commits:
            raise ConnectionError

    api.now += 3600
    api.state.before_commit = fail_after
    with pytest.raises(ConnectionError):
        await api.server.background.sealer.seal_finished()
    await api.stop()
    await api.start()
    assert await api.outcomes(jids) == before
    await api.server.background.sealer.seal_finished()

    assert not {"pages", "packs", "finished"} & await kept(api)
    assert await api.outcomes(jids) == before


async def test_small_batches_are_sealed_together(api: ApiHarness) -> None:
    """Sixteen calls are read by three requests of the state store, and removed by one."""
    jids = [number for _ in range(AT_ONCE) for number in await run(api, 1)]
    api.state.reads.clear()
    api.state.commits.clear()
    api.now += 3600

    await api.server.background.sealer.seal_finished()

    assert (len(api.state.reads), len(api.state.commits)) == (3, 1)
    assert not {"pages", "packs", "finished"} & await kept(api)
    assert len(await api.outcomes(range(jids[0], jids[-1] + 1))) == AT_ONCE


@pytest.mark.parametrize("count", [2, 1500])
async def test_a_deletion_while_its_batch_is_sealed_is_kept(api: ApiHarness, count: int) -> None:
    """What changed after it was read for the archive is not removed, and sealed again later."""
    jids = await run_printing(api, count)
    before = await api.outcomes(jids[1:])
    blobs = api.server.ports.blobs
    put, deleting, deleted = blobs.put, iter([True]), []

    async def put_and_delete(name: str, data: bytes) -> bool:
        stored = await put(name, data)
        if name.startswith("sealed/") and next(deleting, False):
            deleted.append(await delete_jobs(api, jids[0]))
        return stored

    blobs.put = put_and_delete  # type: ignore[method-assign]
    await seal_all(api)
    blobs.put = put  # type: ignore[method-assign]

    for _ in range(2):
        with pytest.raises(JobDeleted):
            await api.statuses(jids[:1])
        assert await api.outcomes(jids[1:]) == before
        await seal_all(api)
    assert deleted == [1]
    assert not {"pages", "packs", "finished"} & await kept(api)
    sealed = [await blobs.get(name) async for name in blobs.names("sealed/")]
    assert sum(data.count(SECRET) for data in sealed) == count - 1


async def test_a_late_report_to_a_sealed_job_is_dropped(api: ApiHarness) -> None:
    """The fence holds for sealed jobs as well."""
    slot = await api.slot()
    jids = await api.submit(1)
    lease = (await api.work(slot)).leases[0]
    await api.work(slot, reports=[report_of(lease)], lease=False)
    api.now += 3600
    await api.server.background.sealer.seal_finished()

    answer = await api.work(slot, reports=[report_of(lease)], lease=False)

    assert answer == wire.WorkAnswer()
    assert await api.statuses(jids) == ["done"]
    assert "pages" not in await kept(api)


@pytest.mark.parametrize("forged", ["another page's", "a key in it", "one bit", "cut", "empty"])
async def test_only_what_was_sealed_is_accepted(api: ApiHarness, forged: str) -> None:
    """Write access to the blob store gives none to records, neither of other jobs nor of keys."""
    mine, other = await run(api, 2), await run(api, 3)
    api.now += 3600
    await api.server.background.sealer.seal_finished()
    blobs = api.server.ports.blobs
    places = {}
    for jids in (mine, other):
        (piece,) = await locate(api.server.context.commits.view, ACCOUNT, [(jids[0], jids[-1])])
        places[jids] = layout.sealed(piece.page_id)
    good = await blobs.get(places[mine])
    intruder = "pk_0badcafe0bad_" + "A" * 43
    key = Key(ACCOUNT, bytes(32), active=True, created_at=0.0)
    bad = {
        "another page's": await blobs.get(places[other]),
        "a key in it": good[:32]
        + msgspec.msgpack.encode(Sealed({"keys/0badcafe0bad": layout.encode(key)})),
        "one bit": good[:-1] + bytes([good[-1] ^ 1]),
        "cut": good[:-1],
        "empty": b"",
    }[forged]
    await blobs.delete(places[mine])
    await blobs.put(places[mine], bad)
    await api.stop()
    await api.start()

    with pytest.raises(ServerFault, match="not what was sealed"):
        await api.outcomes(mine)

    assert len(await api.outcomes(other)) == 3
    with pytest.raises(KeyRefused):
        await api.use_cases.accounts.accounts.authenticate(intruder)
    assert api.server.context.commits.view.peek("keys/0badcafe0bad") is None


async def test_a_foreign_blob_in_the_place_of_a_page_is_not_accepted(api: ApiHarness) -> None:
    """If it is there before the page is sealed, the page stays in the state store."""
    jids, others = await run(api, 2), await run(api, 3)
    before = await api.outcomes(jids)
    (piece,) = await locate(api.server.context.commits.view, ACCOUNT, [(jids[0], jids[-1])])
    await api.server.ports.blobs.put(
        layout.sealed(piece.page_id), b"\0" * 32 + b"\x81\xa7entries\x80"
    )
    api.now += 3600

    await api.server.background.sealer.seal_finished()

    assert await api.outcomes(jids) == before
    assert layout.page(piece.page_id) in [
        entry.key for entry in await api.server.ports.state.scan("pages/")
    ]
    assert len(await api.server.ports.state.scan("pages/")) == 1
    assert len(await api.outcomes(others)) == 3
