"""The audit log: who did what in an account, in blocks of the state store."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final

import structlog
from msgspec import structs
from picloud_model.wire.audit import AuditEntry, AuditListed

from picloud_api.store.records import KeyedRecord, NamedRecord, Record

if TYPE_CHECKING:
    from picloud_model.wire.audit import AuditRequest

    from picloud_api.engine.process.context import Context
    from picloud_api.store.draft import Draft

BLOCK_ENTRIES: Final = 50
"""Entries of one block, which is written again with each of them."""
MAX_BLOCKS: Final = 2000
"""The most blocks of an account; then the oldest is removed with each new one."""
_READ_AT_ONCE: Final = 20
_log = structlog.get_logger()


class AuditRecord(Record, frozen=True, kw_only=True):
    """One entry; its fields are those of `AuditEntry`."""

    at: float
    operation: str
    address: str = ""
    person: str = ""
    key: str = ""
    jid: int = 0
    details: str = ""
    refused: str = ""


class AuditBlock(KeyedRecord, frozen=True):
    """Consecutive entries, under the key `audit/<account>/<block>`."""

    prefix: ClassVar[str] = "audit/"

    entries: list[AuditRecord]

    @property
    def weight(self) -> int:
        """About how many bytes it takes in memory."""
        return 600 + 900 * len(self.entries)


class AuditExtent(NamedRecord, frozen=True):
    """How many entries an account has ever had, and its oldest block: `audit_extents/<account>`."""

    prefix: ClassVar[str] = "audit_extents/"

    count: int = 0
    first_block: int = 0


class AuditLog:
    """Adds entries, and reads them.

    Each is also a line of the server's log, which outlives what is removed here.
    """

    def __init__(self, context: Context, max_blocks: int = MAX_BLOCKS) -> None:
        self._commits = context.commits
        self._clock = context.clock
        self._max_blocks = max_blocks

    async def add(self, account: str, entry: AuditRecord) -> None:
        """Add an entry, which is stored when this returns."""
        entry = structs.replace(entry, at=self._clock())
        await self._commits.run(partial(self._added, account, entry))
        _log.info("audit", account=account, **structs.asdict(entry))

    async def _added(self, account: str, entry: AuditRecord, draft: Draft) -> None:
        extent: AuditExtent = await draft.get(_extent(account)) or AuditExtent()
        number = extent.count // BLOCK_ENTRIES
        block: AuditBlock = await draft.get(_block(account, number)) or AuditBlock([])
        draft.put(_block(account, number), AuditBlock([*block.entries, entry]))
        first = extent.first_block
        if number - first >= self._max_blocks:
            draft.delete(_block(account, first))
            first += 1
        draft.put(_extent(account), AuditExtent(extent.count + 1, first))

    async def read(self, account: str, request: AuditRequest) -> AuditListed:
        """Return entries, the newest first."""
        view = self._commits.view
        extent: AuditExtent = await view.fresh(_extent(account)) or AuditExtent()
        before = extent.count if request.before is None else min(request.before, extent.count)
        found: list[AuditEntry] = []
        block = (before - 1) // BLOCK_ENTRIES
        while block >= extent.first_block and len(found) < request.limit:
            some = range(max(extent.first_block, block - _READ_AT_ONCE + 1), block + 1)
            await view.refresh([_block(account, each) for each in some])
            for each in reversed(some):
                found += await self._of_block(account, each, before)
            block = some[0] - 1
            if found and found[-1].at < request.since:
                break
        kept = [entry for entry in found if entry.at >= request.since]
        return AuditListed(entries=kept[: request.limit])

    async def _of_block(self, account: str, number: int, before: int) -> list[AuditEntry]:
        block: AuditBlock | None = await self._commits.view.get(_block(account, number))
        first = number * BLOCK_ENTRIES
        numbered = enumerate(block.entries if block else [], first)
        return [
            AuditEntry(number=at, **structs.asdict(entry)) for at, entry in numbered if at < before
        ][::-1]


def _extent(account: str) -> str:
    return f"{AuditExtent.prefix}{account}"


def _block(account: str, number: int) -> str:
    return f"{AuditBlock.prefix}{account}/{number:08d}"
