"""Info: what is known of jobs, from their pages, their packs, and the slots that run them."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import msgspec
from picloud_model.errors import BlobMissing, RequestRefused
from picloud_model.info import DEFAULT_KEYS, LIVE, STREAMS, UNPICKLED, InfoKey, read_keys
from picloud_model.job import Cause, State
from picloud_model.pack import Envelope, Pack
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

from picloud_api.engine.jobs.finish import read_failure
from picloud_api.engine.jobs.live_query import held_at
from picloud_api.engine.jobs.locate import locate, pages, refuse_deleted
from picloud_api.store import layout
from picloud_api.usecases.jobs.info_values import OF_BATCH, OF_INFO, JobView, pilog, told

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from picloud_driver.blobs import BlobPort
    from picloud_model.wire import InfoRequest

    from picloud_api.engine.jobs.live_query import LiveQueries
    from picloud_api.engine.process.context import Context
    from picloud_api.store.records import Header
    from picloud_api.usecases.jobs.why import Why

ANSWER_BYTES: Final = 4 * 1024 * 1024
"""What one answer holds, about; the client asks again for the rest."""
ANSWER_JOBS: Final = 20_000
AT_ONCE: Final = 64
"""Jobs looked at together: those that run are asked at the same time."""
_NOTHING: Final = Info()
_OF_SLOTS: Final = LIVE | OF_INFO.keys()
_ARGUMENTS: Final = frozenset((InfoKey.ARGS, InfoKey.KWARGS))


class JobInformation:
    """Answers what is known of jobs."""

    def __init__(self, context: Context, blobs: BlobPort, live: LiveQueries, why: Why) -> None:
        self._why = why
        self._view = context.commits.view
        self._clock = context.clock
        self._blobs = blobs
        self._live = live
        self._opened: tuple[bytes, dict[int, Content]] = (b"", {})

    async def info(self, account: str, request: InfoRequest) -> JobInfos:
        """What is known of the first jobs asked for, as many as fit into an answer.

        Raises:
            RequestRefused: When a key is none of those there are.
            JobNotFound: When one of the jobs does not exist in this account.
            JobDeleted: When one of them was deleted.
        """
        keys = read_keys(request.keys) or DEFAULT_KEYS
        for name in request.since or ():
            if name not in STREAMS:
                message = f"Only {', '.join(STREAMS)} can be followed, not {name[:80]!r}."
                raise RequestRefused(message, field="since")
        gathered, now = _Gathered(), self._clock()
        cases: list[JobView] = []
        wanted = await locate(self._view, account, request.jids)
        async for piece, page in pages(self._view, wanted, at_once=AT_ONCE):
            refuse_deleted(page, piece)
            header: Header = await self._view.get(layout.header(account, piece.page_id.batch))
            cases += [
                JobView(piece, index, page, header, now) for index in range(piece.start, piece.stop)
            ]
            while len(cases) >= AT_ONCE:
                await self._gather(gathered, cases[:AT_ONCE], keys, request)
                del cases[:AT_ONCE]
                if gathered.full:
                    return gathered.answer()
        await self._gather(gathered, cases, keys, request)
        return gathered.answer()

    async def _gather(
        self,
        gathered: _Gathered,
        cases: Sequence[JobView],
        keys: Sequence[InfoKey],
        request: InfoRequest,
    ) -> None:
        since = request.since or {}
        seen = await asyncio.gather(*(self._seen(case, keys, since) for case in cases))
        for case, info in zip(cases, seen, strict=True):
            if gathered.full:
                return
            texts, ends = told(info, since)
            values = {key.value: await self._value(case, key, info, texts) for key in keys
                      if key not in UNPICKLED}  # fmt: skip
            gathered.add(
                JobInfo(
                    jid=case.jid,
                    values=values,
                    arguments=await self._arguments(case)
                    if _ARGUMENTS.intersection(keys)
                    else None,
                    function=case.header.function if InfoKey.FUNC_BODY in keys else None,
                    envelope=gathered.note(case.header.envelope),
                    ends=ends if request.since is not None else {},
                )
            )

    async def _seen(self, case: JobView, keys: Sequence[InfoKey], since: Mapping[str, int]) -> Info:
        """What the job's slot says or said of it."""
        page, index = case.page, case.index
        if InfoKey.PILOG in keys and State(page.state[index]).final:
            return await self._kept(case)
        if not _OF_SLOTS.intersection(keys):
            return _NOTHING
        if State(page.state[index]).final:
            return await self._kept(case)
        if page.state[index] != State.PROCESSING:
            return _NOTHING
        page_id = case.piece.page_id
        job = held_at(page_id.batch, page_id.page, page, index)
        info = await self._live.info(page_id.account, job, page.slot[index], since)
        if info is None:
            # It may have ended in the meantime: what it left says more than nothing.
            fresh: Page = await self._view.fresh(layout.page(page_id))
            if State(fresh.state[index]).final:
                return await self._kept(msgspec.structs.replace(case, page=fresh))
        return info or _NOTHING

    async def _kept(self, case: JobView) -> Info:
        page, index = case.page, case.index
        if not page.flags[index] & Flag.INFORMED:
            return _NOTHING
        content = (await self._infos(case)).get(page.item[index])
        if content is None:
            return _NOTHING
        try:
            data = content.data
            if data is None:
                data = await self._blobs.get(f"{case.piece.page_id.account}/{content.digest}")
                if sha256(data).hexdigest() != content.digest:
                    return _NOTHING
            return unpack_info(data)
        except (BlobMissing, RequestRefused):
            return _NOTHING

    async def _infos(self, case: JobView) -> dict[int, Content]:
        """The infos of a result pack by item: one is opened for all its jobs."""
        data, infos = self._opened
        name = layout.results(case.piece.page_id, case.page.pack[case.index])
        found: bytes = await self._view.get(name)
        if found is not data:
            pack = Pack(found)
            infos = msgspec.msgpack.decode(pack[len(pack) - 1], type=dict[int, Content])
            self._opened = (found, infos)
        return infos

    async def _value(
        self, case: JobView, key: InfoKey, info: Info, texts: Mapping[str, str | None]
    ) -> Any:
        if key in STREAMS:
            return texts[key.value]
        if key is InfoKey.EXCEPTION:
            return await self._exception(case)
        if key is InfoKey.PILOG:
            return pilog(case, info.remarks)
        if key in OF_INFO:
            return OF_INFO[key](info)
        if key is InfoKey.WHY:
            told = await self._why.tell(case.piece.page_id.account, [(case.jid, case.jid)])
            return told[case.jid]
        return OF_BATCH[key](case)

    async def _exception(self, case: JobView) -> str | None:
        page, index = case.page, case.index
        if page.state[index] not in (State.ERROR, State.KILLED):
            return None
        failure = await self._failure(case)
        if failure is None:
            return None
        if failure.cause == Cause.EXCEPTION and failure.traceback:
            return failure.traceback
        return f"{failure.message}\n{failure.traceback}".rstrip()

    async def _failure(self, case: JobView) -> Failure | None:
        name = layout.results(case.piece.page_id, case.page.pack[case.index])
        pack = Pack(await self._view.get(name))
        return read_failure(pack.view(case.page.item[case.index]))

    async def _arguments(self, case: JobView) -> Arguments | None:
        for part in case.header.parts:
            if part.first <= case.at < part.first + part.count:
                if part.content.digest:
                    return Arguments(None, part.content, case.at - part.first)
                page_id = case.piece.page_id
                name = layout.arguments(page_id.account, page_id.batch, part.first)
                return Arguments(Pack(await self._view.get(name))[case.at - part.first])
        return None


class _Gathered:
    """Infos as they are put together."""

    def __init__(self) -> None:
        self._jobs: list[JobInfo] = []
        self._envelopes: list[Envelope] = []
        self._size = 0

    @property
    def full(self) -> bool:
        return self._size > ANSWER_BYTES or len(self._jobs) >= ANSWER_JOBS

    def note(self, envelope: Envelope) -> int:
        """The position of an envelope among those of the answer."""
        if envelope not in self._envelopes:
            self._envelopes.append(envelope)
        return self._envelopes.index(envelope)

    def add(self, info: JobInfo) -> None:
        self._jobs.append(info)
        texts = (value for value in info.values.values() if isinstance(value, str))
        self._size += 64 + sum(map(len, texts))
        if info.arguments is not None and info.arguments.parcel is not None:
            self._size += len(info.arguments.parcel)
        if info.function is not None and info.function.data is not None:
            self._size += len(info.function.data)

    def answer(self) -> JobInfos:
        return JobInfos(jobs=self._jobs, envelopes=self._envelopes)
