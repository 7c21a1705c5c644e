"""Budgets: what jobs of an account, or those with a label, may cost before they are stopped.

What is spent is in memory: the check of a submit reads nothing. Each API process reads for that
what has changed, as long as it gets submits of the account.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog
from msgspec.structs import replace
from picloud_model.errors import (
    BudgetNotFound,
    BudgetReached,
    NotFound,
    PiCloudError,
    RequestConflict,
)
from picloud_model.wire import Options
from picloud_model.wire.budget import (
    MAX_BUDGETS,
    BudgetSet,
    ListedBudget,
    words,
)
from picloud_model.wire.usage import money

from picloud_api.store import layout
from picloud_api.store.records import Event, EventKind
from picloud_api.usecases.accounts.account import check_administrator
from picloud_api.usecases.accounts.price import full_name
from picloud_api.usecases.accounts.spending import BudgetRecord, Spending

if TYPE_CHECKING:
    from picloud_model.wire import PricedJobs
    from picloud_model.wire.budget import (
        BudgetPeriod,
        RemoveBudgetRequest,
        SetBudgetRequest,
    )

    from picloud_api.engine.process.context import Context
    from picloud_api.store.draft import Draft
    from picloud_api.usecases.accounts.account import Holder
    from picloud_api.usecases.accounts.price import PriceHistory, Prices

LIST_EVERY_S: Final = 30.0
"""How often all budgets are read, whatever the events were."""
IN_USE_S: Final = 60.0
"""How long after a submit of an account a process keeps up with what it has spent."""
OLD_S: Final = 5.0
"""What was read so long ago is read again before a submit is checked."""
_WITH: Final = {"day": "per day", "month": "per month", "total": "without a period"}

_log = structlog.get_logger()


class Overdrawn(NamedTuple):
    """A batch with unfinished jobs that a budget kills."""

    account: str
    batch: str
    jids: tuple[int, int]


class _Verdict(NamedTuple):
    """Why jobs are refused, or else what their user should know; "" if nothing."""

    refusal: str = ""
    notice: str = ""


class Budgets:
    """Keeps the budgets of accounts, and refuses work for which nothing is left."""

    def __init__(self, context: Context, prices: Prices) -> None:
        self._context = context
        self._commits = context.commits
        self._clock = context.clock
        self._changed = context.budgets_changed
        self._prices = prices
        self._latest: PriceHistory
        self._spending: dict[str, Spending] = {}
        self._read_at: dict[str, float] = {}
        self._verdicts: dict[str, dict[tuple[str | None, str, str | None], _Verdict]] = {}
        self._checked_at: dict[str, float] = {}
        self._listed_at = 0.0
        self._said: set[tuple[str, float, bool]] = set()

    async def account(self, holder: Holder, named: str | None) -> str:
        """Return the account that a request is about: that of the key, unless it names one.

        Raises:
            AdministratorsOnly: When it names one, and the key is none of an administrator.
            NotFound: When there is no such account.
        """
        if named is None:
            return holder.account
        check_administrator(holder)
        if await self._commits.view.fresh(layout.account(named)) is None:
            raise NotFound(
                f"There is no account {named!r}; `picloud account list` shows them.",
                field="account",
            )
        return named

    async def set(self, holder: Holder, request: SetBudgetRequest) -> BudgetSet:
        """Set a budget, in place of an earlier one for the same period and label.

        Raises:
            AdministratorsOnly: As `account`.
            NotFound: As `account`.
            RequestConflict: When the account has as many budgets as it may have.
        """
        account = await self.account(holder, request.account)
        is_cap = request.account is not None
        key = _key(account, request.period, request.label, is_cap=is_cap)
        record = BudgetRecord(
            dollars=request.dollars,
            period=request.period,
            action=request.action,
            label=request.label,
            is_cap=is_cap,
            since_at=self._clock(),
        )
        present = await self._commits.view.scan(_prefix(account))
        if key not in present and len(present) >= MAX_BUDGETS:
            raise RequestConflict(
                f"An account may have {MAX_BUDGETS} budgets: remove one that is no longer needed."
            )

        async def plan(draft: Draft) -> None:
            earlier: BudgetRecord | None = await draft.fresh(key)
            since_at = record.since_at if earlier is None else earlier.since_at
            draft.put(key, replace(record, since_at=since_at))
            draft.emit(Event(EventKind.BUDGET, account, ""))

        await self._commits.run(plan)
        spending = await self._anew(account)
        return BudgetSet(budget=self._shown(spending, key))

    async def remove(self, holder: Holder, request: RemoveBudgetRequest) -> None:
        """Remove a budget.

        Raises:
            AdministratorsOnly: As `account`.
            NotFound: As `account`.
            BudgetNotFound: When there is no such budget; one of the operator's is named as that.
        """
        account = await self.account(holder, request.account)
        is_cap = request.account is not None
        key = _key(account, request.period, request.label, is_cap=is_cap)
        cap = _key(account, request.period, request.label, is_cap=True)

        async def plan(draft: Draft) -> None:
            if await draft.fresh(key) is None:
                label = "" if request.label is None else f" for the label {request.label!r}"
                what = f"There is no budget {_WITH[request.period]}{label}"
                if not is_cap and await draft.fresh(cap) is not None:
                    what += " of yours: the operator of the server has set that one"
                raise BudgetNotFound(f"{what}; `picloud budget list` shows all.")
            draft.delete(key)
            draft.emit(Event(EventKind.BUDGET, account, ""))

        await self._commits.run(plan)
        await self._anew(account)

    async def of(self, account: str) -> list[ListedBudget]:
        """Return the budgets of an account: caps first, then by label and period."""
        spending = await self._anew(account)
        shown = [self._shown(spending, key) for key in spending.budgets]
        return sorted(shown, key=lambda each: (not each.is_cap, each.label or "", each.period))

    def limits(self, account: str) -> bool:
        """Whether an account has budgets."""
        return account in self._spending

    async def check(self, account: str, jobs: Options | PricedJobs) -> str:
        """Refuse jobs for which nothing is left.

        Args:
            account: An account that has budgets.
            jobs: Their label and core type.

        Returns:
            What their user should know of budgets of which little is left; "" if there are none.

        Raises:
            BudgetReached: Names the budget, and says what to do.
        """
        spending = await self._current(account)
        verdicts = self._verdicts.setdefault(account, {})
        # Before their upload, the environment of jobs is not known: what is refused for want of a
        # price is refused when they are submitted.
        where = full_name(account, jobs.env) if isinstance(jobs, Options) else None
        asked = (jobs.label, jobs.core_type, where)
        verdict = verdicts.get(asked)
        if verdict is None:
            verdict = verdicts[asked] = self._verdict(spending, jobs, where)
        if verdict.refusal:
            raise BudgetReached(verdict.refusal)
        return verdict.notice

    async def reload(self) -> None:
        """Read which budgets there are."""
        self._changed.clear()
        self._listed_at = self._clock()
        records = await self._commits.view.scan(BudgetRecord.prefix)
        self._latest = await self._prices.history()
        accounts: dict[str, dict[str, BudgetRecord]] = {}
        for key, record in records.items():
            accounts.setdefault(BudgetRecord.parse(key).partition("/")[0], {})[key] = record
        for account in {*self._spending, *accounts}:
            self._keep(account, accounts.get(account, {}))

    async def keep_up(self, *, every: bool) -> None:
        """Read what was spent since the last time.

        Args:
            every: Whether to do that for every account, or for those that submit jobs here.
        """
        now = self._clock()
        if self._changed.is_set() or abs(now - self._listed_at) >= LIST_EVERY_S:
            await self.reload()
        for account, spending in [*self._spending.items()]:
            if every or now - self._checked_at.get(account, -IN_USE_S) < IN_USE_S:
                try:
                    await spending.read()
                except PiCloudError as error:
                    # What others have spent may be read.
                    _log.warning("budget.not_read", account=account, reason=error.message)
                    continue
                self._was_read(account)
                self._say(account, spending)

    def overdrawn(self) -> list[Overdrawn]:
        """Return the unfinished batches that a budget kills."""
        return [
            Overdrawn(account, batch, jids)
            for account, spending in self._spending.items()
            for batch, jids in spending.overdrawn().items()
        ]

    def without_reservations(self) -> list[str]:
        """Return the accounts whose reservations a budget ends."""
        return [
            account for account, spending in self._spending.items() if spending.stops_reservations
        ]

    def _verdict(
        self, spending: Spending, jobs: Options | PricedJobs, where: str | None
    ) -> _Verdict:
        """Return what holds for such jobs until more of what was spent is read."""
        has_price = where is None or (
            self._latest.price(jobs.core_type, where, self._clock()) is not None
        )
        least: ListedBudget | None = None
        for key, record in spending.budgets.items():
            if record.label not in (None, jobs.label):
                continue
            shown = self._shown(spending, key)
            if record.action != "warn" and shown.is_reached:
                return _Verdict(refusal=_reached(shown))
            if record.action != "warn" and not has_price:
                return _Verdict(
                    refusal=f"Jobs on {jobs.core_type} have no price, so {_named(shown)} cannot "
                    "count them: choose another core type, or ask the operator for a price."
                )
            if shown.is_nearly_reached and (least is None or shown.left < least.left):
                least = shown
        return _Verdict(notice="" if least is None else _notice(least))

    def _was_read(self, account: str) -> None:
        """Note that what an account has spent was read anew."""
        self._read_at[account] = self._clock()
        self._verdicts.pop(account, None)

    def _say(self, account: str, spending: Spending) -> None:
        """Log once for each period that a budget is nearly reached, and that it is."""
        for key in spending.budgets:
            shown = self._shown(spending, key)
            said = (key, shown.since_at, shown.is_reached)
            if shown.is_nearly_reached and said not in self._said:
                self._said.add(said)
                _log.warning(
                    "budget.reached" if shown.is_reached else "budget.nearly_reached",
                    account=account,
                    budget=_named(shown),
                    spent=money(shown.spent),
                    action=shown.action,
                )

    async def _anew(self, account: str) -> Spending:
        """Read the budgets of an account, and what is spent of them."""
        records: dict[str, BudgetRecord] = await self._commits.view.scan(_prefix(account))
        self._keep(account, records)
        spending = self._spending.get(account)
        if spending is None:
            return Spending(self._context, self._prices, account, {})
        await spending.read(at_once=True)
        self._was_read(account)
        return spending

    def _keep(self, account: str, records: dict[str, BudgetRecord]) -> None:
        self._verdicts.pop(account, None)
        known = self._spending.get(account)
        if not records:
            self._spending.pop(account, None)
            self._context.account_changes.release(account)
        elif known is None or known.budgets != records:
            self._spending[account] = Spending(self._context, self._prices, account, records)

    async def _current(self, account: str) -> Spending:
        """Return what an account has spent, as it was a moment ago."""
        now = self._clock()
        self._checked_at[account] = now
        spending = self._spending[account]
        if not spending.is_read or now - self._read_at.get(account, 0.0) > OLD_S:
            await spending.read()
            self._was_read(account)
        return spending

    def _shown(self, spending: Spending, key: str) -> ListedBudget:
        record = spending.budgets[key]
        return ListedBudget(
            dollars=record.dollars,
            period=record.period,
            action=record.action,
            label=record.label,
            is_cap=record.is_cap,
            since_at=record.begin(self._clock()),
            spent=spending.spent(key),
        )


def _prefix(account: str) -> str:
    return f"{BudgetRecord.prefix}{account}/"


def _key(account: str, period: BudgetPeriod, label: str | None, *, is_cap: bool) -> str:
    """Return the key of a budget; a label may have any characters."""
    text = f"{'cap' if is_cap else 'own'}/{period}/{'' if label is None else f'label {label}'}"
    return f"{_prefix(account)}{blake2b(text.encode(), digest_size=16).hexdigest()}"


def _named(shown: ListedBudget) -> str:
    return f"the budget of {money(shown.dollars)} {words(shown.period, shown.label)}"


def _notice(shown: ListedBudget) -> str:
    if shown.is_reached:
        return _reached(shown)
    return f"{money(shown.spent)} of {_named(shown)} is spent; {money(shown.left)} is left."


def _reached(shown: ListedBudget) -> str:
    text = f"T{_named(shown)[1:]} is reached: {money(shown.spent)} is spent"
    if shown.action == "warn":
        return f"{text}; it does not stop jobs."
    advice = (
        "ask the operator of the server to raise it"
        if shown.is_cap
        else "raise it with `picloud budget set`"
    )
    if shown.period != "total":
        advice += f", or submit again in the next {shown.period} (UTC)"
    return f"{text}; {advice}."
