"""`info`: what is known of jobs, from their pages, their packs and the slots that run them."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import msgspec
from picloud_model.errors import BlobMissing, RequestRefused
from picloud_model.info import DEFAULT_KEYS, LIVE, STREAMS, UNPICKLED, InfoKey, read_keys
from picloud_model.job import Cause, State
from picloud_model.pack import Pack
from picloud_model.page import Flag, Page
from picloud_model.wire import (
    Arguments,
    Content,
    Failure,
    Info,
    JobInfo,
    JobInfos,
    unpack_info,
)

from picloud_api.engine.jobs.envelopes import EnvelopeTable
from picloud_api.engine.jobs.finish import read_failure
from picloud_api.engine.jobs.live_query import held_at
from picloud_api.engine.jobs.locate import locate, read_pages, refuse_deleted
from picloud_api.engine.jobs.webhook import webhook_info
from picloud_api.store import layout
from picloud_api.store.blob_name import blob_name
from picloud_api.store.records import BatchId
from picloud_api.usecases.jobs.info_values import (
    OF_BATCH,
    OF_INFO,
    JobView,
    pilog,
    stream_texts,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from picloud_driver.blob import BlobPort
    from picloud_model.pack import Envelope
    from picloud_model.wire import InfoRequest

    from picloud_api.engine.jobs.live_query import LiveQueries
    from picloud_api.engine.process.context import Context
    from picloud_api.engine.process.turns import Turn
    from picloud_api.store.records import Header
    from picloud_api.usecases.accounts.price import Prices
    from picloud_api.usecases.jobs.tunnel import PublicPorts
    from picloud_api.usecases.jobs.why import Why

ANSWER_BYTES: Final = 4 * 1024 * 1024
"""The size of one reply, about; the client requests the rest."""
ANSWER_JOBS: Final = 20_000
"""The most jobs in one reply."""
AT_ONCE: Final = 64
"""Jobs read together: the slots of those that run are queried at the same time."""
_IN_A_ROW: Final = 8
"""Infos that are put together before the event loop may go on."""
_NOTHING: Final = Info()
_OF_SLOTS: Final = LIVE | OF_INFO.keys()
_READ: Final = frozenset((InfoKey.WEBHOOK, InfoKey.WHY))
"""Keys whose values take further reads."""
_ARGUMENTS: Final = frozenset((InfoKey.ARGS, InfoKey.KWARGS))


class JobInformation:
    """Returns what is known of jobs, except their results."""

    def __init__(
        self,
        context: Context,
        blobs: BlobPort,
        live: LiveQueries,
        *,
        prices: Prices,
        why: Why,
        public_ports: PublicPorts,
    ) -> None:
        self._prices = prices
        self._why = why
        self._public_ports = public_ports
        self._view = context.commits.view
        self._turns = context.turns
        self._clock = context.clock
        self._blobs = blobs
        self._live = live
        self._decoded: tuple[bytes, dict[int, Content]] = (b"", {})
        self._peak: tuple[object, int | None] = (None, None)

    async def info(self, account: str, request: InfoRequest) -> JobInfos:
        """Return what is known of the first jobs of a request, as many as fit into a reply.

        Raises:
            RequestRefused: When a key does not exist, or a name in `since` is not a stream.
            JobNotFound: When one of the jobs does not exist in this account.
            JobDeleted: When one of them was deleted.
        """
        for name in request.since or ():
            if name not in STREAMS:
                message = f"Only {', '.join(STREAMS)} can be followed, not {name[:80]!r}."
                raise RequestRefused(message, field="since")
        reply, now = _InfoReply(request, self._turns.of(account)), self._clock()
        prices = await self._prices.history() if InfoKey.COST in reply.keys else None
        jobs: list[JobView] = []
        async with reply.turn as turn:
            pieces = await locate(self._view, account, request.jids, turn)
        async for piece, page in read_pages(self._view, pieces, at_once=AT_ONCE):
            refuse_deleted(page, piece)
            header: Header = await self._view.get(layout.header(account, piece.page_id.batch))
            jobs += [
                JobView(piece=piece, index=index, page=page, header=header, now=now, prices=prices)
                for index in range(piece.start, piece.stop)
            ]
            while len(jobs) >= AT_ONCE:
                await self._add(reply, jobs[:AT_ONCE])
                del jobs[:AT_ONCE]
                if reply.full:
                    return reply.infos()
        await self._add(reply, jobs)
        return reply.infos()

    async def _add(self, reply: _InfoReply, jobs: Sequence[JobView]) -> None:
        keys, since = reply.keys, reply.request.since
        infos = await asyncio.gather(*(self._info_of(job, keys, since or {}) for job in jobs))
        places: dict[int, Any] = {}
        if InfoKey.PORTS in keys:
            for job, info in zip(jobs, infos, strict=True):
                places[job.jid] = await self._places(job, info)
        async with reply.turn as turn:
            for number, (job, info) in enumerate(zip(jobs, infos, strict=True), 1):
                if reply.full:
                    return
                texts, ends = stream_texts(info, since or {})
                reply.add(
                    JobInfo(
                        jid=job.jid,
                        values={
                            key.value: places[job.jid]
                            if key is InfoKey.PORTS
                            else await self._value(job, key, info, texts)
                            for key in keys
                            if key not in UNPICKLED
                        },
                        arguments=await self._arguments(job)
                        if _ARGUMENTS.intersection(keys)
                        else None,
                        function=job.header.function if InfoKey.FUNC_BODY in keys else None,
                        envelope=reply.position(job.header.envelope),
                        bundle=job.header.bundle if UNPICKLED.intersection(keys) else "",
                        ends=ends if since is not None else {},
                    )
                )
                if number % _IN_A_ROW == 0:
                    await turn.pause()

    async def _info_of(
        self, job: JobView, keys: Sequence[InfoKey], since: Mapping[str, int]
    ) -> Info:
        """Return what the slot of a job reports now, or reported when the job ended."""
        page, index = job.page, job.index
        if InfoKey.PILOG in keys and State(page.state[index]).final:
            return await self._stored(job)
        if not _OF_SLOTS.intersection(keys):
            return _NOTHING
        if State(page.state[index]).final:
            stored = await self._stored(job)
            return await self._estimate(job) if stored is _NOTHING else stored
        if page.state[index] != State.PROCESSING:
            return _NOTHING
        page_id = job.piece.page_id
        attempt = held_at(page_id.batch, page_id.page, page, index)
        info = await self._live.info(page_id.account, attempt, page.slot[index], since)
        if info is None:
            # The job may have ended meanwhile; then its slot has reported its info.
            fresh: Page = await self._view.fresh(layout.page(page_id))
            if State(fresh.state[index]).final:
                return await self._stored(msgspec.structs.replace(job, page=fresh))
        return info or _NOTHING

    async def _places(self, job: JobView, info: Info) -> dict[str, Any] | None:
        account = job.piece.page_id.account
        return await self._public_ports.places(account, job.jid, job.header.options, info)

    async def _stored(self, job: JobView) -> Info:
        """Return what was reported of a job when it ended."""
        page, index = job.page, job.index
        if not page.flags[index] & Flag.INFORMED:
            return _NOTHING
        content = (await self._infos(job)).get(page.item[index])
        if content is None:
            return _NOTHING
        try:
            data = content.data
            if data is None:
                data = await self._blobs.get(blob_name(job.piece.page_id.account, content.digest))
                if sha256(data).hexdigest() != content.digest:
                    return _NOTHING
            return unpack_info(data)
        except (BlobMissing, RequestRefused):
            return _NOTHING

    async def _estimate(self, job: JobView) -> Info:
        """Return the usage of a quick and silent job, of which nothing was reported.

        Its CPU time is less than what is measured. Its memory is that of another job of the same
        report, which ran in the same interpreter.
        """
        page, pack = job.page, job.page.pack[job.index]
        if not page.started[job.index]:
            return _NOTHING
        report, peak = (job.piece.page_id, pack), self._peak[1]
        if report != self._peak[0]:
            others = zip(page.pack, page.flags, strict=True)
            informed = (other == pack and flags & Flag.INFORMED for other, flags in others)
            at = next((at for at, has_info in enumerate(informed) if has_info), None)
            peak = None
            if at is not None:
                peak = (await self._stored(msgspec.structs.replace(job, index=at))).peak_bytes
            self._peak = (report, peak)
        return Info(user_s=0.0, system_s=0.0, peak_bytes=peak)

    async def _infos(self, job: JobView) -> dict[int, Content]:
        """Return the infos of the job's result pack by item; the last pack stays decoded."""
        last_data, infos = self._decoded
        name = layout.results(job.piece.page_id, job.page.pack[job.index])
        data: bytes = await self._view.get(name)
        if data is not last_data:
            pack = Pack(data)
            infos = msgspec.msgpack.decode(pack[len(pack) - 1], type=dict[int, Content])
            self._decoded = (data, infos)
        return infos

    async def _value(
        self, job: JobView, key: InfoKey, info: Info, texts: Mapping[str, str | None]
    ) -> Any:
        if key in STREAMS:
            return texts[key.value]
        if key is InfoKey.EXCEPTION:
            return await self._exception(job)
        if key is InfoKey.PILOG:
            return pilog(job, info.remarks)
        if key in OF_INFO:
            return OF_INFO[key](info)
        if key in _READ:
            return await self._read(job, key)
        return OF_BATCH[key](job)

    async def _read(self, job: JobView, key: InfoKey) -> Any:
        if key is InfoKey.WEBHOOK:
            return await self._webhook(job)
        reasons = await self._why.reasons(job.piece.page_id.account, [(job.jid, job.jid)])
        return reasons[job.jid]

    async def _webhook(self, job: JobView) -> Any:
        url, ended_at = job.header.options.on_done, job.page.finished[job.index]
        if url is None:
            return None
        ended_ago_s = job.now - ended_at if ended_at else 0.0
        batch = BatchId(*job.piece.page_id[:2])
        return msgspec.to_builtins(await webhook_info(self._view, batch, url, ended_ago_s))

    async def _exception(self, job: JobView) -> str | None:
        page, index = job.page, job.index
        if page.state[index] not in (State.ERROR, State.KILLED):
            return None
        failure = await self._failure(job)
        if failure is None:
            return None
        if failure.cause == Cause.EXCEPTION and failure.traceback:
            return failure.traceback
        return f"{failure.message}\n{failure.traceback}".rstrip()

    async def _failure(self, job: JobView) -> Failure | None:
        name = layout.results(job.piece.page_id, job.page.pack[job.index])
        pack = Pack(await self._view.get(name))
        return read_failure(pack.view(job.page.item[job.index]))

    async def _arguments(self, job: JobView) -> Arguments | None:
        for part in job.header.parts:
            item = job.at - part.first
            if 0 <= item < part.count:
                if part.content.digest:
                    return Arguments(None, part.content, item)
                page_id = job.piece.page_id
                name = layout.arguments(page_id.account, page_id.batch, part.first)
                return Arguments(Pack(await self._view.get(name))[item])
        return None


class _InfoReply:
    """The infos of a reply, while it is put together."""

    def __init__(self, request: InfoRequest, turn: Turn) -> None:
        self.request = request
        self.keys = read_keys(request.keys) or DEFAULT_KEYS
        self.turn = turn
        self._jobs: list[JobInfo] = []
        self._envelopes = EnvelopeTable()
        self._size = 0

    @property
    def full(self) -> bool:
        return self._size > ANSWER_BYTES or len(self._jobs) >= ANSWER_JOBS

    def position(self, envelope: Envelope) -> int:
        return self._envelopes.position(envelope)

    def add(self, info: JobInfo) -> None:
        self._jobs.append(info)
        texts = (value for value in info.values.values() if isinstance(value, str))
        self._size += 64 + sum(map(len, texts))
        if info.arguments is not None and info.arguments.parcel is not None:
            self._size += len(info.arguments.parcel)
        if info.function is not None and info.function.data is not None:
            self._size += len(info.function.data)

    def infos(self) -> JobInfos:
        return JobInfos(jobs=self._jobs, envelopes=self._envelopes.envelopes)
