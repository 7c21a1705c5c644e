"""Sealing: history moves from the state store into blobs, and nobody notices."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from picloud_api.engine.jobs.locate import locate
from picloud_api.store import layout
from picloud_api.store.records import Key, Sealed
from picloud_api.store.sealing import AT_ONCE
from picloud_driver.state.sqlite import SqliteState
from picloud_model import wire
from picloud_model.errors import JobDeleted, KeyRefused, ServerFault
from picloud_model.job import State

from tests.unit.api.usecases.jobs.test_delete import SECRET, delete, seal
from tests.unit.api.usecases.jobs.test_delete import run as printed
from tests.unit.api.world import ACCOUNT, World, ended

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """A server whose state store says that it is to stay small."""
    monkeypatch.setattr(SqliteState, "bounded", True)
    made = await World(tmp_path).start()
    yield made
    await made.stop()


async def run(world: World, count: int) -> range:
    """Submit a map and run every job of it."""
    jids = await world.submit(count)
    slot = await world.slot()
    while leases := (await world.work(slot)).leases:
        await world.work(slot, reports=[ended(lease) for lease in leases], lease=False)
    return jids


async def kept(world: World) -> set[str]:
    """The kinds of keys that lie in the state store."""
    found = await world.server.ports.state.scan("")
    return {entry.key.partition("/")[0] for entry in found}


async def test_finished_batches_leave_the_state_store(world: World) -> None:
    """A minute after its last job a batch's pages and packs are a blob; its header stays."""
    jids = await run(world, 2500)
    before = await world.outcomes(jids)
    await world.server.background.sealer.seal_finished()
    assert {"pages", "packs"} <= await kept(world)

    world.now += 3600
    await world.server.background.sealer.seal_finished()

    assert not {"pages", "packs", "finished", "ready"} & await kept(world)
    assert await world.outcomes(jids) == before


async def test_sealed_jobs_answer_as_before(world: World) -> None:
    """Status, result and kill of a sealed job are those of a finished one, after a restart too."""
    jids = await run(world, 3)
    before = await world.outcomes(jids)
    world.now += 3600
    await world.server.background.sealer.seal_finished()
    await world.stop()
    await world.start()

    assert await world.statuses(jids) == ["done"] * 3
    assert await world.outcomes(jids) == before
    assert (await world.use_cases.jobs.kill.kill(ACCOUNT, [(jids[0], jids[-1])])).count == 0


async def test_sealed_pages_are_read_with_the_others(world: World) -> None:
    """Whoever reads many pages in one go knows the sealed ones afterwards, too."""
    first = (await run(world, 1))[0]
    world.now += 3600
    await world.server.background.sealer.seal_finished()
    await world.submit(1)
    view = world.server.context.commits.view
    names = [
        layout.page(piece.page_id) for piece in await locate(view, ACCOUNT, [(first, first + 1)])
    ]
    view.forget(names)

    await view.load(names)

    assert [view.peek(name).state for name in names] == [bytes([State.DONE]), bytes([State.QUEUED])]


@pytest.mark.parametrize("commits", range(4))
async def test_an_interrupted_seal_is_finished_later(
    world: World, monkeypatch: pytest.MonkeyPatch, commits: int
) -> None:
    """A crash between the blobs and the removal of the keys, or within it, loses nothing."""
    jids = await run(world, 1500)
    before = await world.outcomes(jids)
    monkeypatch.setattr(SqliteState, "max_operations", 3)
    state, commit = world.server.ports.state, world.server.ports.state.commit
    left = [commits]

    async def failing(operations: object) -> dict[str, int]:
        left[0] -= 1
        if left[0] < 0:
            raise ConnectionError
        return await commit(operations)  # type: ignore[arg-type]

    world.now += 3600
    state.commit = failing  # type: ignore[method-assign, assignment]
    with pytest.raises(ConnectionError):
        await world.server.background.sealer.seal_finished()
    state.commit = commit  # type: ignore[method-assign]
    await world.stop()
    await world.start()
    assert await world.outcomes(jids) == before
    await world.server.background.sealer.seal_finished()

    assert not {"pages", "packs", "finished"} & await kept(world)
    assert await world.outcomes(jids) == before


async def test_small_batches_are_sealed_together(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixteen calls are read by three requests of the state store, and removed by one."""
    jids = [number for _ in range(AT_ONCE) for number in await run(world, 1)]
    calls: Counter[str] = Counter()
    for name in ("get", "commit"):
        monkeypatch.setattr(SqliteState, name, counted(getattr(SqliteState, name), calls))
    world.now += 3600

    await world.server.background.sealer.seal_finished()

    assert calls == {"get": 3, "commit": 1}
    assert not {"pages", "packs", "finished"} & await kept(world)
    assert len(await world.outcomes(range(jids[0], jids[-1] + 1))) == AT_ONCE


def counted(method: Callable[..., Awaitable[Any]], calls: Counter[str]) -> Callable[..., Any]:
    """The same method, whose calls are counted."""

    async def counting(*arguments: object) -> object:
        calls[method.__name__] += 1
        return await method(*arguments)

    return counting


@pytest.mark.parametrize("count", [2, 1500])
async def test_a_deletion_while_its_batch_is_sealed_is_kept(world: World, count: int) -> None:
    """What changed after it was read for the archive is not removed, but sealed as it is later."""
    jids = await printed(world, count)
    before = await world.outcomes(jids[1:])
    blobs = world.server.ports.blobs
    put, deleting, deleted = blobs.put, iter([True]), []

    async def put_and_delete(name: str, data: bytes) -> bool:
        stored = await put(name, data)
        if name.startswith("sealed/") and next(deleting, False):
            deleted.append(await delete(world, jids[0]))
        return stored

    blobs.put = put_and_delete  # type: ignore[method-assign]
    await seal(world)
    blobs.put = put  # type: ignore[method-assign]

    for _ in range(2):
        with pytest.raises(JobDeleted):
            await world.statuses(jids[:1])
        assert await world.outcomes(jids[1:]) == before
        await seal(world)
    assert deleted == [1]
    assert not {"pages", "packs", "finished"} & await kept(world)
    sealed = [await blobs.get(name) async for name in blobs.names("sealed/")]
    assert sum(data.count(SECRET) for data in sealed) == count - 1


async def test_a_late_report_to_a_sealed_job_is_dropped(world: World) -> None:
    """The fence holds for sealed jobs as well."""
    slot = await world.slot()
    jids = await world.submit(1)
    lease = (await world.work(slot)).leases[0]
    await world.work(slot, reports=[ended(lease)], lease=False)
    world.now += 3600
    await world.server.background.sealer.seal_finished()

    answer = await world.work(slot, reports=[ended(lease)], lease=False)

    assert answer == wire.WorkAnswer()
    assert await world.statuses(jids) == ["done"]
    assert "pages" not in await kept(world)


@pytest.mark.parametrize("forged", ["another page's", "a key in it", "one bit", "cut", "empty"])
async def test_only_what_was_sealed_is_believed(world: World, forged: str) -> None:
    """Whoever can write to the blob store writes no records: neither other jobs' nor a key."""
    mine, other = await run(world, 2), await run(world, 3)
    world.now += 3600
    await world.server.background.sealer.seal_finished()
    blobs = world.server.ports.blobs
    places = {}
    for jids in (mine, other):
        (piece,) = await locate(world.server.context.commits.view, ACCOUNT, [(jids[0], jids[-1])])
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
    await world.stop()
    await world.start()

    with pytest.raises(ServerFault, match="not what was sealed"):
        await world.outcomes(mine)

    assert len(await world.outcomes(other)) == 3
    with pytest.raises(KeyRefused):
        await world.use_cases.accounts.accounts.authenticate(intruder)
    assert world.server.context.commits.view.peek("keys/0badcafe0bad") is None


async def test_what_lies_in_the_place_of_a_page_is_not_taken_for_it(world: World) -> None:
    """A blob laid there beforehand loses nothing: the page stays in the state store."""
    jids, others = await run(world, 2), await run(world, 3)
    before = await world.outcomes(jids)
    (piece,) = await locate(world.server.context.commits.view, ACCOUNT, [(jids[0], jids[-1])])
    await world.server.ports.blobs.put(
        layout.sealed(piece.page_id), b"\0" * 32 + b"\x81\xa7entries\x80"
    )
    world.now += 3600

    await world.server.background.sealer.seal_finished()

    assert await world.outcomes(jids) == before
    assert layout.page(piece.page_id) in [
        entry.key for entry in await world.server.ports.state.scan("pages/")
    ]
    assert len(await world.server.ports.state.scan("pages/")) == 1
    assert len(await world.outcomes(others)) == 3
