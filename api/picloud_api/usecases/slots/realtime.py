"""Realtime cores: slots that are kept running for an account, so that its jobs need not wait."""

from __future__ import annotations

from collections import Counter, defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import structlog
from msgspec import structs
from picloud_model.errors import NotFound, PiCloudError, RequestConflict, RequestRefused
from picloud_model.wire import Options
from picloud_model.wire.realtime import MAX_RESERVATIONS, Reservation

from picloud_api.engine.process.reservation import (
    EndedReservationRecord,
    ReservationNumber,
    ReservationRecord,
)
from picloud_api.engine.scheduling.pool import check_core_type, pool_of
from picloud_api.store.records import Slot
from picloud_api.usecases.accounts.price import cost, full_name

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from picloud_driver.scheduler import Pool, SchedulerPort
    from picloud_model.wire.realtime import ChangeReservationRequest, ReserveCoresRequest

    from picloud_api.engine.process.context import Context
    from picloud_api.store.draft import Draft
    from picloud_api.usecases.accounts.price import PriceHistory, Prices
    from picloud_api.usecases.accounts.quota import AccountQuota

_LAST: Final = f"{ReservationNumber.prefix}last"

_log = structlog.get_logger()


class _Ended(Exception):
    """The reservation that is to be changed has ended."""


class RealtimeCores:
    """Keeps the reservations of accounts.

    Args:
        context: The store, and what this process knows of slots.
        scheduler: Knows how many cores there are.
        image_of: Returns the image of an account's environment for a version of Python.
        prices: What cores cost.
        quota: What an account may have, and its budgets.
    """

    def __init__(
        self,
        context: Context,
        scheduler: SchedulerPort,
        image_of: Callable[[str, str | None, str], Awaitable[str]],
        prices: Prices,
        quota: AccountQuota,
    ) -> None:
        self._commits = context.commits
        self._clock = context.clock
        self._warm = context.warm_slots
        self._scheduler = scheduler
        self._image_of = image_of
        self._prices = prices
        self._quota = quota

    async def reserve(self, account: str, request: ReserveCoresRequest) -> Reservation:
        """Reserve cores; the same request again returns what it has reserved.

        Raises:
            RequestRefused: When there are no such cores, or more than there are, are requested, or
                there is no such environment.
            RequestConflict: When others have reserved too many of them, or the account has as many
                as it may have.
            BudgetReached: When nothing is left of a budget.
        """
        check_core_type(request.core_type, request.job_cores)
        if request.cores % request.job_cores:
            raise RequestRefused(
                f"{request.cores:,} cores cannot be divided among jobs of {request.job_cores}: "
                f"reserve a multiple of {request.job_cores}.",
                field="cores",
            )
        await self._image_of(account, request.env, request.python)
        await self._quota.check_budgets(account, _options(request))
        capacity = await self._scheduler.capacity(request.core_type)
        if request.cores > capacity:
            raise RequestRefused(
                f"{request.cores:,} cores of type {request.core_type} cannot be reserved: "
                f"this server has {capacity:,}.",
                field="cores",
            )

        async def plan(draft: Draft) -> tuple[int, ReservationRecord]:
            # Each reservation takes a number, so that no two are made over the same room.
            last: ReservationNumber | None = await draft.fresh(_LAST)
            present = await self._all()
            for key, earlier in present.items():
                owner, number = _parse(key)
                if owner == account and earlier.request_id == request.request_id:
                    return number, earlier
            self._check_room(account, request, capacity, present)
            number = 1 if last is None else last.number + 1
            key = _key(account, number)
            await draft.get(key)
            draft.put(_LAST, ReservationNumber(number))
            record = ReservationRecord(
                request_id=request.request_id,
                core_type=request.core_type,
                cores=request.cores,
                job_cores=request.job_cores,
                env=request.env,
                python=request.python,
                hours=request.hours,
                requested_at=self._clock(),
            )
            draft.put(key, record)
            return number, record

        number, record = await self._commits.run(plan)
        self._warm.changed.set()
        return await self._shown(account, number, record)

    async def list(self, account: str) -> Sequence[Reservation]:
        """Return the reservations that have not ended, the oldest first."""
        now, prices = self._clock(), await self._prices.history()
        records = await self._commits.view.scan(_key(account))
        return [
            _shown(account, _parse(key)[1], record, prices=prices, now=now)
            for key, record in sorted(records.items(), key=lambda item: _parse(item[0])[1])
            if record.is_active(now)
        ]

    async def release(self, account: str, number: int) -> None:
        """End a reservation now, if it has not ended.

        Raises:
            NotFound: When there is no such reservation.
        """
        now = self._clock()

        def released(record: ReservationRecord) -> ReservationRecord:
            return structs.replace(record, released_at=now) if record.is_active(now) else record

        with suppress(_Ended):
            await self._change(account, number, released)

    async def change(self, account: str, request: ChangeReservationRequest) -> Reservation:
        """Let a reservation end so many hours after its start; None is for no limit.

        Raises:
            NotFound: When there is no such reservation.
            RequestConflict: When it has ended.
        """
        now = self._clock()

        def changed(record: ReservationRecord) -> ReservationRecord:
            if record.hours == request.hours:
                return record
            if not record.is_active(now):
                raise _Ended
            later = structs.replace(record, hours=request.hours)
            # What it was used for until now stays paid.
            return later if later.is_active(now) else structs.replace(later, released_at=now)

        try:
            record = await self._change(account, request.reservation, changed)
        except _Ended:
            text = f"Reservation {request.reservation} has ended: make a new one."
            raise RequestConflict(text) from None
        return await self._shown(account, request.reservation, record)

    async def release_all(self, account: str) -> None:
        """End every reservation of an account."""
        for reservation in await self.list(account):
            await self.release(account, reservation.id)

    async def _shown(self, account: str, number: int, record: ReservationRecord) -> Reservation:
        prices = await self._prices.history()
        return _shown(account, number, record, prices=prices, now=self._clock())

    async def counts(self) -> Counter[Pool]:
        """Return how many slots of each pool are reserved."""
        counts: Counter[Pool] = Counter()
        for pool, reserved in (await self._pools(await self._all())).items():
            counts[pool] = sum(_slots(record) for _, record in reserved)
        return counts

    async def keep(self) -> None:
        """Store which reservations have started or ended, of those that `counts` has read.

        Only the leader does; each change reads its reservation again.
        """
        records, now = self._warm.reservations, self._clock()
        await self._note_started(records)
        for key, record in records.items():
            if not record.is_active(now):
                await self._put_away(key, record)

    async def _put_away(self, key: str, record: ReservationRecord) -> None:
        """Store an ended reservation where it is read for the usage only."""
        ended = _ended_key(*_parse(key))

        async def plan(draft: Draft) -> None:
            if await draft.fresh(key) != record:
                return
            await draft.get(ended)
            draft.put(ended, EndedReservationRecord(**structs.asdict(record)))
            draft.delete(key)

        await self._commits.run(plan)

    async def _note_started(self, records: Mapping[str, ReservationRecord]) -> None:
        waiting = {
            pool: reserved
            for pool, reserved in (await self._pools(records)).items()
            if any(record.started_at is None for _, record in reserved)
        }
        if not waiting:
            return
        slots = await self._commits.view.scan(Slot.prefix)
        live = Counter(slot.pool for slot in slots.values() if not slot.retiring)
        for pool, reserved in waiting.items():
            count = 0
            for key, record in reserved:
                count += _slots(record)
                if record.started_at is None and count <= live[pool]:
                    await self._start(key)

    async def _start(self, key: str) -> None:
        now = self._clock()
        account, number = _parse(key)

        def started(record: ReservationRecord) -> ReservationRecord:
            if record.started_at is None and record.is_active(now):
                return structs.replace(record, started_at=now)
            return record

        with suppress(_Ended, NotFound):
            await self._change(account, number, started)
            _log.info("realtime.started", account=account, reservation=number)

    async def _change(
        self,
        account: str,
        number: int,
        changed: Callable[[ReservationRecord], ReservationRecord],
    ) -> ReservationRecord:
        key = _key(account, number)

        async def plan(draft: Draft) -> ReservationRecord:
            record: ReservationRecord | None = await draft.fresh(key)
            if record is None:
                if await draft.fresh(_ended_key(account, number)) is not None:
                    raise _Ended
                raise NotFound(
                    f"There is no reservation {number} in your account; `picloud realtime list` "
                    "shows them.",
                    field="reservation",
                )
            new = changed(record)
            if new != record:
                draft.put(key, new)
            return new

        record = await self._commits.run(plan)
        self._warm.reservations = {**self._warm.reservations, key: record}
        self._warm.changed.set()
        return record

    async def _all(self) -> Mapping[str, ReservationRecord]:
        records: Mapping[str, ReservationRecord] = await self._commits.view.scan(
            ReservationRecord.prefix
        )
        self._warm.reservations = records
        return records

    async def _pools(
        self, records: Mapping[str, ReservationRecord]
    ) -> Mapping[Pool, Sequence[tuple[str, ReservationRecord]]]:
        """Return the active reservations of each pool with their keys, the oldest first."""
        now = self._clock()
        pools: defaultdict[Pool, list[tuple[str, ReservationRecord]]] = defaultdict(list)
        for key, record in records.items():
            if not record.is_active(now):
                continue
            account, _ = _parse(key)
            try:
                image = await self._image_of(account, record.env, record.python)
            except PiCloudError:
                # Its environment was removed: submits say so, and others keep their slots.
                continue
            pools[pool_of(account, _options(record), image)].append((key, record))
        for reserved in pools.values():
            reserved.sort(key=lambda item: _parse(item[0])[1])
        return pools

    def _check_room(
        self,
        account: str,
        request: ReserveCoresRequest,
        capacity: int,
        present: Mapping[str, ReservationRecord],
    ) -> None:
        now = self._clock()
        active = [(_parse(key)[0], each) for key, each in present.items() if each.is_active(now)]
        own = [each for owner, each in active if owner == account]
        if len(own) >= MAX_RESERVATIONS:
            raise RequestConflict(
                f"An account may have {MAX_RESERVATIONS} reservations: release one that is no "
                "longer needed."
            )
        most = self._quota.quotas.reserved_cores
        if sum(each.cores for each in own) + request.cores > most:
            raise RequestConflict(
                f"An account may reserve {most:,} cores on this server: release some first, or ask "
                "the operator of the server for more."
            )
        taken = sum(each.cores for _, each in active if each.core_type == request.core_type)
        if taken + request.cores > capacity:
            raise RequestConflict(
                f"{request.cores:,} cores of type {request.core_type} cannot be reserved: of "
                f"{capacity:,} on this server, {taken:,} are reserved already."
            )


def _options(of: ReserveCoresRequest | ReservationRecord) -> Options:
    return Options(core_type=of.core_type, cores=of.job_cores, env=of.env)


def _slots(record: ReservationRecord) -> int:
    return record.cores // record.job_cores


def _shown(
    account: str, number: int, record: ReservationRecord, *, prices: PriceHistory, now: float
) -> Reservation:
    at = record.requested_at if record.started_at is None else record.started_at
    price = prices.price(record.core_type, full_name(account, record.env), at)
    return Reservation(
        id=number,
        core_type=record.core_type,
        cores=record.cores,
        job_cores=record.job_cores,
        env=record.env,
        hours=record.hours,
        requested_at=record.requested_at,
        started_at=record.started_at,
        until_at=record.until_at,
        cost=cost(price, record.core_ms(now)),
    )


def _key(account: str, number: int | None = None) -> str:
    """Return the key of a reservation; without a number, the prefix of all of an account."""
    return f"{ReservationRecord.prefix}{account}/{'' if number is None else number}"


def _ended_key(account: str, number: int) -> str:
    return f"{EndedReservationRecord.prefix}{account}/{number}"


def _parse(key: str) -> tuple[str, int]:
    """Return the account and the number in a key."""
    account, number = ReservationRecord.parse(key).split("/")
    return account, int(number)
