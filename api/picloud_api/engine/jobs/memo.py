"""Memos: which batch an account's key, or a function with its arguments, has made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_model.errors import KeyReused
from picloud_model.job import State
from picloud_model.page import Flag
from picloud_model.wire import Submitted

from picloud_api.store import layout
from picloud_api.store.records import Memo

if TYPE_CHECKING:
    from picloud_model.page import Page
    from picloud_model.wire import Reuse

    from picloud_api.store.draft import Draft
    from picloud_api.store.records import BatchId, Header


async def reused(draft: Draft, new: BatchId, reuse: Reuse, now: float) -> Submitted | None:
    """Return the earlier batch that a submit asks for; if there is none, remember the new one.

    It is part of the transaction that makes the new batch visible: of two submits that are made at
    the same time, one finds the other's batch.

    Args:
        draft: The transaction.
        new: The batch that is made unless there is an earlier one.
        reuse: Which earlier batch.
        now: Seconds since the epoch.

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
            not reuse.done_only or await _is_usable(draft, new.account, memo.batch, earlier.pages)
        ):
            return Submitted(first=earlier.first, count=earlier.count)
    draft.put(name, Memo(new.batch, reuse.content, now, now + reuse.kept_s))
    return None


async def _is_usable(draft: Draft, account: str, batch: str, pages: int) -> bool:
    """Whether each job of a batch is unfinished, or done and not deleted."""
    for number in range(pages):
        page: Page | None = await draft.fresh(layout.page(layout.PageId(account, batch, number)))
        if page is None:
            return False
        for state, flags in zip(page.state, page.flags, strict=True):
            failed = State(state).final and state != State.DONE
            if failed or flags & Flag.DELETED:
                return False
    return True
