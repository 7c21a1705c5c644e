"""The view: the cache of a process is right, although answers of the store overtake each other."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from typing import TYPE_CHECKING, ClassVar

import pytest
from picloud_api.store import layout
from picloud_api.store.view import View, check_format
from picloud_driver.state import Delete, Put
from picloud_driver.state.sqlite import SqliteState
from picloud_model.errors import PiCloudError

from tests.unit.api.finished_jobs import run_printing
from tests.unit.api.recording_state import RecordingState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from picloud_driver.state import StateEntry

    from tests.unit.api.api_harness import ApiHarness

KEY = layout.next_jid("a1")


class HeldUp(SqliteState):
    """A store that other processes write to as well, and whose answers can be delayed."""

    shared: ClassVar[bool] = True

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.free = asyncio.Event()
        self.free.set()
        self.asked = asyncio.Event()
        self.reads = 0

    async def get(self, keys: Sequence[str]) -> dict[str, StateEntry]:
        self.reads += 1
        found = await super().get(keys)
        self.asked.set()
        await self.free.wait()
        return found


@pytest.fixture
async def state(tmp_path: Path) -> AsyncIterator[HeldUp]:
    """A store with one number in it."""
    made = HeldUp(tmp_path / "state.sqlite")
    await made.commit([Put(KEY, layout.encode(1))])
    yield made
    await made.close()


async def held_up_read(view: View, state: HeldUp) -> asyncio.Task[object]:
    """Start a read of a cached value, whose answer is delayed until the store is set free."""
    await view.get(KEY)
    state.free.clear()
    state.asked.clear()
    reading = asyncio.create_task(view.fresh(KEY))
    await state.asked.wait()
    return reading


async def test_an_old_answer_does_not_undo_a_commit(state: HeldUp) -> None:
    """A read that was under way during a commit brings an older value: the newer one stays."""
    view = View(state)
    reading = await held_up_read(view, state)

    versions = await state.commit([Put(KEY, layout.encode(2))])
    view.install(KEY, 2, versions[KEY])
    state.free.set()

    assert await reading == 2
    assert view.peek(KEY) == 2


async def test_reads_that_are_needed_during_a_read_are_one(state: HeldUp) -> None:
    """The shared read begins after the last of them, so it returns what was stored by then."""
    view = View(state)
    reading = await held_up_read(view, state)
    before = state.reads
    await state.commit([Put(KEY, layout.encode(2))])
    others = [asyncio.create_task(view.fresh(KEY)) for _ in range(5)]
    await asyncio.sleep(0)
    gone = others.pop(0)

    gone.cancel()
    state.free.set()

    assert await asyncio.gather(*others) == [2] * 4
    assert await reading in {1, 2}
    assert state.reads - before == 1
    assert gone.cancelled()
    await state.commit([Put(KEY, layout.encode(3))])
    assert await view.fresh(KEY) == 3


async def test_what_was_read_during_an_event_is_not_kept(state: HeldUp) -> None:
    """A read that was under way when an event arrived may return what was stored before."""
    view = View(state)
    state.free.clear()
    reading = asyncio.create_task(view.get(KEY))
    await state.asked.wait()

    await state.commit([Put(KEY, layout.encode(2))])
    view.invalidate_reads()
    state.free.set()

    assert await reading == 1
    assert await view.get(KEY) == 2


async def test_a_batch_is_forgotten_alone(state: HeldUp) -> None:
    """Its pages are dropped when others changed it, its packs when it is sealed; nothing else."""
    view = View(state)
    keys = [
        name
        for batch in ("b1", "b10")
        for name in (
            layout.page(layout.PageId("a1", batch, 0)),
            layout.page(layout.PageId("a1", batch, 1)),
            layout.arguments("a1", batch, 0),
        )
    ]
    for key in keys:
        view.install(key, b"", 1)

    view.forget_batch("a1", "b1")
    assert [key for key in keys if view.peek(key) is None] == keys[:2]

    view.forget_sealed("a1", "b1")
    assert [key for key in keys if view.peek(key) is None] == keys[:3]
    assert sorted(view.pages_of("a1", "b10")) == keys[3:5]


async def test_what_is_cached_stays_while_it_is_read_again(state: HeldUp) -> None:
    """No request finds a hole in the view because another one reads."""
    view = View(state)
    reading = await held_up_read(view, state)

    assert view.peek(KEY) == 1
    state.free.set()
    await reading


async def test_what_another_process_wrote_or_removed_is_seen(state: HeldUp) -> None:
    """`fresh` returns what the store holds now."""
    view, other = View(state), View(state)
    await view.get(KEY)

    await state.commit([Put(KEY, layout.encode(3))])
    assert await view.fresh(KEY) == 3
    assert await other.get(KEY) == 3


async def test_a_key_that_does_not_exist_is_read_once(state: HeldUp) -> None:
    """`fresh` knows from that read that there is nothing, also when a value was cached."""
    view, absent = View(state), layout.next_jid("a2")
    await view.get(KEY)
    await state.commit([Delete(KEY)])
    state.reads = 0

    assert (await view.fresh(absent), await view.fresh(KEY)) == (None, None)

    assert state.reads == 2


async def test_data_of_a_newer_format_is_refused(state: HeldUp) -> None:
    """A version that knows a newer format marks the data; then an older version refuses it."""
    await check_format(state)
    assert await state.get([layout.FORMAT_KEY]) == {}

    await check_format(state, 3)
    await check_format(state, 3)

    with pytest.raises(PiCloudError, match=r"has format 3, and this version reads up to 1\."):
        await check_format(state)
    await check_format(state, 4)
    with pytest.raises(PiCloudError, match="has format 4"):
        await check_format(state, 3)


async def test_two_processes_mark_the_format_at_once(tmp_path: Path) -> None:
    """The one that comes second looks again: it may be the older one."""
    state = RecordingState(tmp_path / "state.sqlite")

    async def mark(known: int) -> None:
        state.before_commit = None
        await check_format(state, known)

    state.before_commit = lambda: mark(2)
    await check_format(state, 2)
    state.before_commit = lambda: mark(4)
    with pytest.raises(PiCloudError, match="has format 4"):
        await check_format(state, 3)
    await state.close()


async def test_what_is_cached_of_a_call_weighs_what_it_takes(api: ApiHarness) -> None:
    """The room of the cache is bytes of memory, not a third of them: a million finished calls do
    not take more.
    """
    view = api.server.context.commits.view
    await run_printing(api, 1)
    gc.collect()
    tracemalloc.start()
    try:
        before, cells = view._room, len(view._cells)
        for _ in range(200):
            await run_printing(api, 1)
        gc.collect()
        taken = sum(each.size for each in tracemalloc.take_snapshot().statistics("filename"))
    finally:
        tracemalloc.stop()

    assert len(view._cells) >= cells + 3 * 200
    assert 0.5 * taken <= before - view._room <= 2 * taken
