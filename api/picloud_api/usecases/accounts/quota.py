"""Quotas: how much of everything one account may have at once, so that others have the rest."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Final

import msgspec
from picloud_model.errors import AccountBusy

from picloud_api.store import layout

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from picloud_model.wire import Options, PackPart, PricedJobs

    from picloud_api.engine.process.context import Context
    from picloud_api.store.records import Ready, Staged
    from picloud_api.usecases.accounts.budget import Budgets

_COUNTED_EVERY_S: Final = 1.0
"""How often at most the use of an account is counted anew."""
_UNCOUNTED: Final = 10
"""What part of a quota may be used before the first count in this process: a tenth."""

_READ_TOGETHER: Final = 100
"""Records that are read before the event loop may go on."""


class Quotas(msgspec.Struct, frozen=True, kw_only=True):
    """What one account may have at once."""

    jobs: int = 10_000_000
    """Jobs that have not ended."""
    batches: int = 200_000
    """Calls and maps with such jobs."""
    stored_bytes: int = 16 * 2**30
    """Bytes of arguments of such jobs, and of what was sent ahead of a submit."""
    object_bytes: int = 100 * 2**40
    """Bytes of objects in its bucket."""
    reserved_cores: int = 1_000
    """Cores that are reserved."""
    waits: int = 4_000
    """Requests that wait for jobs, in each API process."""
    requests: int = 8_000
    """Requests of any kind that are not answered yet, in each API process."""


class Amount(msgspec.Struct, frozen=True, kw_only=True):
    """How much of what has a quota.

    >>> Amount(jobs=2, stored_bytes=5) + Amount(jobs=1, batches=1)
    Amount(jobs=3, batches=1, stored_bytes=5)
    """

    jobs: int = 0
    batches: int = 0
    stored_bytes: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(
            jobs=self.jobs + other.jobs,
            batches=self.batches + other.batches,
            stored_bytes=self.stored_bytes + other.stored_bytes,
        )

    def __neg__(self) -> Amount:
        return Amount(jobs=-self.jobs, batches=-self.batches, stored_bytes=-self.stored_bytes)


class _Use:
    """What an account has: at most `stored`, and `under_way` what is being stored."""

    def __init__(self) -> None:
        self.stored = Amount()
        self.under_way = Amount()
        self.counted_at: float | None = None
        self.counting = asyncio.Lock()


class AccountQuota:
    """Refuses what exceeds an account's quotas.

    What an account has is only counted when it could be too much: until then each submit adds to
    the last count, and nothing is read.
    """

    def __init__(self, context: Context, quotas: Quotas, budgets: Budgets) -> None:
        self.quotas = quotas
        self._budgets = budgets
        self._state = context.commits.view.state
        self._clock = context.clock
        self._turns = context.turns
        self._waits: Counter[str] = Counter()
        self._uses: dict[str, _Use] = {}

    @contextmanager
    def waiting(self, account: str) -> Iterator[None]:
        """Count a request that waits, for the length of a `with` block.

        Raises:
            AccountBusy: When too many requests of the account wait.
        """
        if self._waits[account] >= self.quotas.waits:
            raise AccountBusy(
                f"{self.quotas.waits:,} requests of this account wait for jobs, which is the most: "
                "wait for many jobs in one request."
            )
        self._waits[account] += 1
        try:
            yield
        finally:
            self._waits[account] -= 1
            if not self._waits[account]:
                del self._waits[account]

    async def check_budgets(self, account: str, jobs: Options | PricedJobs | None) -> str:
        """Refuse jobs for which nothing is left of a budget; without jobs, nothing is refused.

        Returns:
            What the user should know of budgets of which little is left, or "".

        Raises:
            BudgetReached: When nothing is left.
        """
        if jobs is None or not self._budgets.limits(account):
            return ""
        return await self._budgets.check(account, jobs)

    @asynccontextmanager
    async def admit(
        self, account: str, amount: Amount, jobs: Options | PricedJobs | None = None
    ) -> AsyncIterator[str]:
        """Let an account store something in an `async with` block.

        Args:
            account: The account.
            amount: How much of what it stores.
            jobs: What budgets need to know of jobs, which have to be within them.

        Yields:
            What the user should know of budgets of which little is left, or "".

        Raises:
            AccountBusy: When it would have too much; the message says of what.
            BudgetReached: When nothing is left of a budget for the jobs.
        """
        notice = await self.check_budgets(account, jobs)
        use = self._uses.setdefault(account, _Use())
        if self._excess(use, amount):
            async with use.counting:
                await self._count(account, use)
            if excess := self._excess(use, amount):
                raise AccountBusy(
                    f"An account may have {excess} at once: submit again when some have ended."
                )
        use.under_way += amount
        try:
            yield notice
            use.stored += amount
        finally:
            use.under_way += -amount

    def _excess(self, use: _Use, amount: Amount) -> str:
        """Return of what there would be too much."""
        whole = use.stored + use.under_way + amount
        part = _UNCOUNTED if use.counted_at is None else 1
        if whole.jobs > self.quotas.jobs // part:
            return f"{self.quotas.jobs:,} unfinished jobs"
        if whole.batches > self.quotas.batches // part:
            return f"{self.quotas.batches:,} unfinished calls and maps"
        if whole.stored_bytes > self.quotas.stored_bytes // part:
            return f"{self.quotas.stored_bytes:,} bytes of arguments of unfinished jobs"
        return ""

    async def _count(self, account: str, use: _Use) -> None:
        """Count what the account has according to the state store, unless that was done just now.

        What is stored meanwhile may count twice, until the next time.
        """
        now = self._clock()
        if use.counted_at is not None and now - use.counted_at < _COUNTED_EVERY_S:
            return
        stored, use.stored = use.stored, Amount()
        try:
            counted = Amount()
            ready: Ready
            async for ready in self._records(account, layout.ready(account)):
                counted += Amount(jobs=ready.unfinished, batches=1, stored_bytes=ready.size)
            staged: Staged
            async for staged in self._records(account, layout.staged(account, "")):
                counted += Amount(stored_bytes=size_of(staged.parts))
        except BaseException:
            use.stored += stored
            raise
        use.stored += counted
        use.counted_at = now

    async def _records(self, account: str, prefix: str) -> AsyncIterator[Any]:
        """Yield the records under a prefix; in the view they would displace what is used."""
        after = ""
        async with self._turns.of(account) as turn:
            while entries := await self._state.scan(prefix, after, _READ_TOGETHER):
                for entry in entries:
                    yield layout.decode(entry.key, entry.value)
                await turn.pause()
                after = entries[-1].key


def size_of(parts: Iterable[PackPart]) -> int:
    """Return how many bytes some packs take; a blob that several of them name counts once."""
    size, blobs = 0, dict[str, int]()
    for part in parts:
        content = part.content
        if content.data is not None:
            size += len(content.data)
        elif content.digest:
            blobs[content.digest] = max(content.size, 0)
        else:
            size += max(content.size, 0)
    return size + sum(blobs.values())
