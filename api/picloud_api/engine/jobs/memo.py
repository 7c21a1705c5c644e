"""Memos: which batch an account's key, or a function with its arguments, has made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec
from picloud_model.errors import KeyReused
from picloud_model.job import State
from picloud_model.pack import Pack
from picloud_model.page import Flag
from picloud_model.wire import Content, Submitted

from picloud_api.store import layout
from picloud_api.store.records import BatchId, Memo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_model.page import Page
    from picloud_model.wire import Reuse

    from picloud_api.store.draft import Draft
    from picloud_api.store.records import Header


class MissingBlobs(Protocol):
    """Returns which blobs of an account are not stored, by their digests."""

    async def __call__(self, account: str, digests: Sequence[str], /) -> list[str]:
        """Return those that are not stored."""


async def reused(
    draft: Draft, new: BatchId, reuse: Reuse, now: float, missing: MissingBlobs
) -> Submitted | None:
    """Return the earlier batch that a submit asks for; if there is none, remember the new one.

    It is part of the transaction that makes the new batch visible: of two submits that are made at
    the same time, one finds the other's batch.

    Args:
        draft: The transaction.
        new: The batch that is made unless there is an earlier one.
        reuse: Which earlier batch.
        now: Seconds since the epoch.
        missing: Returns which of the blobs of an account, by their digests, are not stored.

    Raises:
        KeyReused: When the earlier batch was made with other arguments.
    """
    name = layout.memo(new.account, reuse.name)
    memo: Memo | None = await draft.fresh(name)
    if memo is not None and now < min(memo.created_at + reuse.kept_s, memo.until):
        if memo.content != reuse.content:
            raise KeyReused(field="reuse")
        earlier: Header | None = await draft.get(layout.header(new.account, memo.batch))
        if earlier is not None and (
            not reuse.done_only
            or await _is_usable(draft, BatchId(new.account, memo.batch), earlier.pages, missing)
        ):
            return Submitted(first=earlier.first, count=earlier.count)
    draft.put(name, Memo(new.batch, reuse.content, now, now + reuse.kept_s))
    return None


async def _is_usable(draft: Draft, batch: BatchId, pages: int, missing: MissingBlobs) -> bool:
    """Whether each job of a batch is unfinished, or done, and its result is there."""
    for number in range(pages):
        page_id = layout.PageId(*batch, number)
        page: Page | None = await draft.fresh(layout.page(page_id))
        if page is None:
            return False
        for state, flags in zip(page.state, page.flags, strict=True):
            failed = State(state).final and state != State.DONE
            if failed or flags & Flag.DELETED:
                return False
        digests = await _large_results(draft, page_id, page)
        if digests is None or (digests and await missing(batch.account, digests)):
            return False
    return True


async def _large_results(draft: Draft, page_id: layout.PageId, page: Page) -> list[str] | None:
    """Return the digests of those results of a page that are blobs; None if one is unknown."""
    packs: dict[int, Pack] = {}
    digests = []
    for index, flags in enumerate(page.flags):
        if page.state[index] != State.DONE or not flags & Flag.SPILLED:
            continue
        number = page.pack[index]
        if number not in packs:
            data: bytes | None = await draft.get(layout.results(page_id, number))
            if data is None:
                return None
            packs[number] = Pack(data)
        content = msgspec.msgpack.decode(packs[number][page.item[index]], type=Content)
        digests.append(content.digest)
    return digests
