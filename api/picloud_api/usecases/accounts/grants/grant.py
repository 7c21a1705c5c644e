"""Grants: dollars or core hours that an administrator lets an account use, and until when."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, ClassVar

from msgspec.structs import replace
from picloud_model.errors import GrantNotFound, NotFound, RequestConflict, RequestRefused
from picloud_model.wire.grant import MAX_GRANTS, FreeHours, Grant, GrantsListed
from picloud_model.wire.statement import day_of

from picloud_api.engine.scheduling.pool import existing_core
from picloud_api.store import layout
from picloud_api.store.records import NamedRecord
from picloud_api.usecases.accounts.account import check_administrator

if TYPE_CHECKING:
    from picloud_model.wire.grant import EndGrantRequest, GrantRequest

    from picloud_api.engine.process.context import Context
    from picloud_api.store.draft import Draft
    from picloud_api.usecases.accounts.account import Holder
    from picloud_api.usecases.accounts.price import Prices


class GrantsRecord(NamedRecord, frozen=True):
    """All grants of an account, under the key `grants/<account>`; with each, which request made it.

    They are few, and read together, so one key holds them all.
    """

    prefix: ClassVar[str] = "grants/"

    grants: tuple[Grant, ...] = ()
    requests: tuple[str, ...] = ()


class Grants:
    """Keeps the grants of accounts."""

    def __init__(self, context: Context, prices: Prices) -> None:
        self._commits = context.commits
        self._clock = context.clock
        self._prices = prices

    async def grant(self, holder: Holder, request: GrantRequest) -> Grant:
        """Grant an account some use; the same request again returns what it has granted.

        Raises:
            AdministratorsOnly: When the key is none of an administrator.
            NotFound: When there is no such account.
            RequestRefused: When it is not clear what is granted, or its last day is over.
            RequestConflict: When the account has been given as many grants as it may have.
        """
        await self._check_account(holder, request.account)
        today = self._today()
        _check(request, today)
        key = _key(request.account)

        async def plan(draft: Draft) -> Grant:
            record: GrantsRecord = await draft.fresh(key) or GrantsRecord()
            if request.request_id in record.requests:
                return record.grants[record.requests.index(request.request_id)]
            if len(record.grants) >= MAX_GRANTS:
                raise RequestConflict(f"An account may be given {MAX_GRANTS:,} grants.")
            made = Grant(
                id=len(record.grants) + 1,
                since=today,
                until=request.until,
                dollars=request.dollars,
                core_hours=request.core_hours,
                core_type=request.core_type,
                note=request.note,
            )
            requests = (*record.requests, request.request_id)
            draft.put(key, GrantsRecord((*record.grants, made), requests))
            return made

        return await self._commits.run(plan)

    async def end(self, holder: Holder, request: EndGrantRequest) -> Grant:
        """Let today be the last day of a grant, unless it ended before.

        Raises:
            AdministratorsOnly: When the key is none of an administrator.
            NotFound: When there is no such account.
            GrantNotFound: When it has no such grant.
        """
        await self._check_account(holder, request.account)
        today = self._today()
        key = _key(request.account)

        async def plan(draft: Draft) -> Grant:
            record: GrantsRecord = await draft.fresh(key) or GrantsRecord()
            if request.grant > len(record.grants):
                raise GrantNotFound(
                    f"The account {request.account} has no grant {request.grant}; "
                    f"`picloud admin grants {request.account}` lists those that it has."
                )
            grants = [*record.grants]
            ended = grants[request.grant - 1]
            if ended.until > today:
                ended = grants[request.grant - 1] = replace(ended, until=today)
                draft.put(key, replace(record, grants=tuple(grants)))
            return ended

        return await self._commits.run(plan)

    async def account(self, holder: Holder, named: str | None) -> str:
        """Return the account that a request is about: that of the key, unless it names one.

        Raises:
            AdministratorsOnly: When it names one, and the key is none of an administrator.
            NotFound: When there is no such account.
        """
        if named is None:
            return holder.account
        await self._check_account(holder, named)
        return named

    async def list(self, account: str) -> GrantsListed:
        """Return all grants of an account, and what is free each month."""
        record: GrantsRecord | None = await self._commits.view.fresh(_key(account))
        changes = (await self._prices.history()).changes
        free = [FreeHours(day_of(change.since_at), change.free) for change in changes]
        return GrantsListed(grants=[*record.grants] if record else [], free=free)

    async def _check_account(self, holder: Holder, account: str) -> None:
        check_administrator(holder)
        if await self._commits.view.fresh(layout.account(account)) is None:
            raise NotFound(
                f"There is no account {account!r}; `picloud account list` shows them.",
                field="account",
            )

    def _today(self) -> str:
        return day_of(self._clock())


def _key(account: str) -> str:
    return f"{GrantsRecord.prefix}{account}"


def _check(request: GrantRequest, today: str) -> None:
    if (request.dollars is None) == (request.core_hours is None):
        raise RequestRefused("A grant is either dollars or core hours.", field="dollars")
    if request.core_type is not None and request.core_hours is None:
        raise RequestRefused("A grant of dollars is for every core type.", field="core_type")
    if request.core_type is not None:
        existing_core(request.core_type, "core_type")
    try:
        date.fromisoformat(request.until)
    except ValueError:
        raise RequestRefused(f"{request.until!r} is not a day.", field="until") from None
    if request.until < today:
        raise RequestRefused(
            f"The last day of a grant cannot be over; today it is {today} (UTC).", field="until"
        )
