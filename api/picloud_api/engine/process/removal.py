"""Removals: the latest requests of an account that removed something by its name.

A request whose reply was lost is sent again. By then there is nothing of the name, or something new
that must stay; so a removal is recorded together with what it does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from picloud_api.store.records import NamedRecord

if TYPE_CHECKING:
    from picloud_api.store.draft import Draft

_MOST: Final = 64
"""How many are kept: a client repeats a request within minutes."""


class RemovalRecord(NamedRecord, frozen=True):
    """The ids of the latest removals, the oldest first, under the key `removals/<account>`."""

    prefix: ClassVar[str] = "removals/"

    requests: tuple[str, ...] = ()


async def is_repeated(draft: Draft, account: str, request_id: str | None) -> bool:
    """Record the removal that a draft makes; return whether it was made before.

    Args:
        draft: Of the change that removes something.
        account: The account.
        request_id: Identifies the request; None for one that is never repeated.
    """
    if request_id is None:
        return False
    key = RemovalRecord.prefix + account
    record: RemovalRecord = await draft.fresh(key) or RemovalRecord()
    if request_id in record.requests:
        return True
    draft.put(key, RemovalRecord((*record.requests, request_id)[-_MOST:]))
    return False
