"""Sealing: history moves from the state store into blobs, and nobody notices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from picloud_api.store import layout
from picloud_api.usecases.finding import pieces
from picloud_driver.state.sqlite import SqliteState
from picloud_model import wire
from picloud_model.job import State

from tests.unit.api.world import ACCOUNT, World, ended

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
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
    await world.server.reconcile.seal_finished()
    assert {"pages", "packs"} <= await kept(world)

    world.now += 3600
    await world.server.reconcile.seal_finished()

    assert not {"pages", "packs", "finished", "ready"} & await kept(world)
    assert await world.outcomes(jids) == before


async def test_sealed_jobs_answer_as_before(world: World) -> None:
    """Status, result and kill of a sealed job are those of a finished one, after a restart too."""
    jids = await run(world, 3)
    before = await world.outcomes(jids)
    world.now += 3600
    await world.server.reconcile.seal_finished()
    await world.stop()
    await world.start()

    assert await world.statuses(jids) == ["done"] * 3
    assert await world.outcomes(jids) == before
    assert (await world.server.jobs.kill(ACCOUNT, [(jids[0], jids[-1])])).count == 0


async def test_sealed_pages_are_read_with_the_others(world: World) -> None:
    """Whoever reads many pages in one go knows the sealed ones afterwards, too."""
    first = (await run(world, 1))[0]
    world.now += 3600
    await world.server.reconcile.seal_finished()
    await world.submit(1)
    view = world.server.commits.view
    names = [
        layout.page(piece.place) for piece in await pieces(view, ACCOUNT, [(first, first + 1)])
    ]
    view.forget(names)

    await view.load(names)

    assert [view.peek(name).state for name in names] == [bytes([State.DONE]), bytes([State.QUEUED])]


async def test_an_interrupted_seal_is_finished_later(world: World) -> None:
    """A crash between the blob and the removal of the keys loses nothing."""
    jids = await run(world, 1500)
    before = await world.outcomes(jids)
    state, commit = world.server.ports.state, world.server.ports.state.commit
    left = [2]

    async def failing(operations: object) -> dict[str, int]:
        left[0] -= 1
        if left[0] < 0:
            raise ConnectionError
        return await commit(operations)  # type: ignore[arg-type]

    world.now += 3600
    state.commit = failing  # type: ignore[method-assign, assignment]
    with pytest.raises(ConnectionError):
        await world.server.reconcile.seal_finished()
    state.commit = commit  # type: ignore[method-assign]
    await world.stop()
    await world.start()
    assert await world.outcomes(jids) == before
    await world.server.reconcile.seal_finished()

    assert not {"pages", "packs", "finished"} & await kept(world)
    assert await world.outcomes(jids) == before


async def test_a_late_report_to_a_sealed_job_is_dropped(world: World) -> None:
    """The fence holds for sealed jobs as well."""
    slot = await world.slot()
    jids = await world.submit(1)
    lease = (await world.work(slot)).leases[0]
    await world.work(slot, reports=[ended(lease)], lease=False)
    world.now += 3600
    await world.server.reconcile.seal_finished()

    answer = await world.work(slot, reports=[ended(lease)], lease=False)

    assert answer == wire.WorkAnswer()
    assert await world.statuses(jids) == ["done"]
    assert "pages" not in await kept(world)
