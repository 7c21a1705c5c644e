"""The draft: what a plan reads and writes before its commit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from picloud_api.store import layout
from picloud_api.store.draft import Draft
from picloud_api.store.layout import PageId
from picloud_api.store.records import Event, EventKind
from picloud_api.store.view import View
from picloud_driver.state import ANY, Check, Delete, Put
from picloud_model.job import State
from picloud_model.page import Page

from tests.unit.api.recording_state import RecordingState, SharedRecordingState

if TYPE_CHECKING:
    from pathlib import Path

KEY = layout.next_jid("a1")
PAGE = layout.page(PageId("a1", "b1", 0))


@pytest.fixture
async def view(tmp_path: Path) -> View:
    """A view of a store with a number and a page."""
    state = RecordingState(tmp_path / "state.sqlite")
    page = Page.fresh(2, State.QUEUED)
    await state.commit([Put(KEY, layout.encode(7)), Put(PAGE, layout.encode(page))])
    return View(state)


async def test_what_was_read_is_checked_by_the_commit(view: View) -> None:
    """A key that was never read is written over whatever is there."""
    draft = Draft(view)
    assert await draft.get(KEY) == 7
    draft.put(KEY, 8)
    draft.put(layout.next_jid("a2"), 1)
    draft.create(layout.next_jid("a3"), 1)

    read, unread, created = draft.operations()

    cell = await view.cell(KEY)
    assert cell is not None
    assert read == Put(KEY, layout.encode(8), cell.version)
    assert unread == Put(layout.next_jid("a2"), layout.encode(1), ANY)
    assert created == Put(layout.next_jid("a3"), layout.encode(1), 0)
    assert draft.expected() == [KEY, layout.next_jid("a3")]


async def test_a_key_that_does_not_exist_is_read_once(tmp_path: Path) -> None:
    """With `fresh`; the commit fails if another process has made it since."""
    state = SharedRecordingState(tmp_path / "shared.sqlite")
    draft = Draft(View(state))

    assert await draft.fresh(KEY) is None
    draft.put(KEY, 1)

    assert state.reads == [[KEY]]
    assert draft.operations() == [Put(KEY, layout.encode(1), 0)]


async def test_what_is_only_checked_is_an_operation_of_its_own(view: View) -> None:
    """Unless the same transaction writes it: then the write checks it."""
    whole, missing = Draft(view), layout.next_jid("a2")
    first, second = Draft(view, whole), Draft(view, whole)
    assert (await first.check(KEY), await first.check(missing)) == (7, None)
    whole.adopt(first)
    checks, expected = whole.operations(), whole.expected()
    await second.get(KEY)
    second.put(KEY, 8)
    whole.adopt(second)
    third = Draft(view, whole)

    assert await third.check(KEY) == 8
    whole.adopt(third)
    cell = await view.cell(KEY)
    assert cell is not None
    assert checks == [Check(KEY, cell.version), Check(missing, 0)]
    assert expected == [KEY, missing]
    assert whole.operations() == [Check(missing, 0), Put(KEY, layout.encode(8), cell.version)]
    assert whole.expected() == [missing, KEY]


async def test_a_draft_reads_its_own_writes(view: View) -> None:
    """Also deletions; the view knows nothing of them."""
    draft = Draft(view)
    draft.put(KEY, 8)
    assert (await draft.get(KEY), draft.peek(KEY)) == (8, 8)

    draft.delete(KEY)

    assert (await draft.get(KEY), draft.peek(KEY)) == (None, None)
    assert await view.get(KEY) == 7
    assert draft.operations() == [Delete(KEY, ANY)]


async def test_a_page_is_changed_as_a_copy(view: View) -> None:
    """A plan that is given up leaves the page in the view as it was."""
    draft = Draft(view)
    own = await draft.edit(PAGE)
    assert own is not None
    own.state[0] = State.DONE

    assert await draft.edit(PAGE) is own
    assert (await view.get(PAGE)).state[0] == State.QUEUED
    assert await draft.edit(KEY) is None
    assert await draft.edit(layout.page(PageId("a1", "none", 0))) is None


async def test_a_page_of_several_keys_is_encoded_once(view: View) -> None:
    """The full pages of a new map are one object, of which each transaction has up to sixteen."""
    draft, full = Draft(view), Page.fresh(1000, State.WAITING)
    for number in range(1, 4):
        draft.create(layout.page(PageId("a1", "b1", number)), full)
    draft.create(layout.page(PageId("a1", "b1", 4)), Page.fresh(3, State.WAITING))

    first, second, third, rest = (each for each in draft.operations() if isinstance(each, Put))
    assert first.value is second.value is third.value
    assert [Page.decode(each.value).state for each in (third, rest)] == [
        bytes([State.WAITING]) * 1000,
        bytes([State.WAITING]) * 3,
    ]


async def test_stacked_drafts_see_what_was_planned_below(view: View) -> None:
    """A draft that is not adopted leaves nothing."""
    whole = Draft(view)
    first, failed = Draft(view, whole), Draft(view, whole)
    first.put(KEY, 8)
    whole.adopt(first)
    failed.put(KEY, 99)

    second = Draft(view, whole)
    assert await second.get(KEY) == 8
    second.put(KEY, 9)
    whole.adopt(second)

    (operation,) = whole.operations()
    assert operation == Put(KEY, layout.encode(9), ANY)


def test_a_slot_is_claimed_once_in_a_transaction(view: View) -> None:
    """Two batches that are made together go to two slots."""
    whole = Draft(view)
    first = Draft(view, whole)
    assert first.claim(7)
    assert not first.claim(7)
    whole.adopt(first)

    assert not Draft(view, whole).claim(7)
    assert Draft(view, whole).claim(8)


def test_an_event_is_emitted_once(view: View) -> None:
    """However many changes of a transaction lead to it."""
    whole, draft = Draft(view), Draft(view)
    for _ in range(2):
        draft.emit(Event(EventKind.READY, "a1", "b1"))
    whole.emit(Event(EventKind.READY, "a1", "b1"))

    whole.adopt(draft)

    assert len(whole.events) == 1


async def test_a_commit_becomes_part_of_the_view(view: View) -> None:
    """With the versions it was committed at; what was deleted is no longer cached."""
    draft = Draft(view)
    await view.get(PAGE)
    draft.put(KEY, 8)
    draft.delete(PAGE)

    draft.install({KEY: 99})

    cell = await view.cell(KEY)
    assert cell is not None
    assert (cell.value, cell.version) == (8, 99)
    assert view.peek(PAGE) is None
