"""Streams: the values that a job yields, read by one client while the job runs.

A job is only so far ahead of its reader, and what was read is removed: a stream takes a bounded
room. The attempt of the job fences it: what a lost attempt sends late is refused. The next attempt
begins anew and leaves out the values that are stored, so a reader gets each position once.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace
from picloud_model.errors import (
    BlobMissing,
    NotAllowed,
    RequestConflict,
    RequestRefused,
    TokenRefused,
    TooLarge,
)
from picloud_model.job import State
from picloud_model.wire import Content
from picloud_model.wire.stream import (
    MAX_CHUNK_BYTES,
    MAX_UNREAD_BYTES,
    MAX_UNREAD_CHUNKS,
    StreamAppended,
    StreamChunk,
    StreamRead,
)

from picloud_api.engine.jobs.locate import locate, refuse_deleted
from picloud_api.store import layout
from picloud_api.store.blob_name import blob_name
from picloud_api.store.records import Event, EventKind, StreamChunkRef, StreamRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

    from picloud_model.token import JobToken
    from picloud_model.wire.stream import AppendStreamRequest, ReadStreamRequest

    from picloud_api.engine.jobs.locate import PageSlice
    from picloud_api.engine.process.context import Context
    from picloud_api.store.draft import Draft
    from picloud_api.usecases.accounts.account import Caller
    from picloud_api.usecases.accounts.quota import AccountQuota
    from picloud_api.usecases.storage.known_blobs import KnownBlobs

MERGED_BYTES: Final = 16 * 1024
"""Small chunks that are not read yet are merged up to this size: many slow values have room."""


class Streams:
    """The streams of all accounts."""

    def __init__(self, context: Context, blobs: KnownBlobs, quota: AccountQuota) -> None:
        self._commits = context.commits
        self._view = context.commits.view
        self._watchers = context.batch_watchers
        self._clock = context.clock
        self._blobs = blobs
        self._quota = quota
        self._first_readers: dict[str, _FirstReader] = {}
        """The reader that waits for the first value, by the key of its stream."""

    async def append(self, caller: Caller, request: AppendStreamRequest) -> StreamAppended:
        """Add values to the stream of the job that sends them; wait until there is room.

        Raises:
            NotAllowed: When the request is not of a job.
            TokenRefused: When a later attempt of the job has begun.
            RequestConflict: When values are missing before the chunk.
            RequestRefused: When the content of the chunk is invalid.
            BlobMissing: When it is in a blob that is not stored.
            AccountBusy: When too many requests of the account wait.
        """
        token, chunk = caller.token, request.chunk
        if token is None:
            raise NotAllowed("Only a job adds values to its stream.")
        if chunk is not None:
            await self._check_content(token.account, chunk)
        plan = partial(self._appended, token=token, request=request)
        count = await self._commits.run(plan)
        if chunk is None or count != chunk.first or request.timeout_s <= 0:
            return StreamAppended(count=count)
        deadline = self._clock() + request.timeout_s
        key = _read_event(layout.stream(token.account, token.jid))
        with self._quota.waiting(token.account):
            count = await self._watchers.until(
                key,
                lambda: self._commits.run(plan),
                lambda count: count != chunk.first,
                lambda: deadline - self._clock(),
            )
        return StreamAppended(count=count)

    async def _check_content(self, account: str, chunk: StreamChunk) -> None:
        digest, data = chunk.content.digest, chunk.content.data
        if data is None:
            blob_name(account, digest)
            if missing := await self._blobs.missing(account, [digest]):
                raise BlobMissing(digests=tuple(missing))
        elif digest:
            raise RequestRefused("A chunk has its bytes or a digest, not both.", field="chunk")
        elif len(data) > MAX_CHUNK_BYTES:
            message = f"A chunk has {MAX_CHUNK_BYTES:,} bytes at most; send more as a blob."
            raise TooLarge(message, field="chunk")

    async def _appended(self, draft: Draft, token: JobToken, request: AppendStreamRequest) -> int:
        """Add a chunk if there is room; return how many values there are."""
        key, chunk = layout.stream(token.account, token.jid), request.chunk
        stored: StreamRecord | None = None
        # The first chunk creates the record. If it exists, the conflict brings it into memory.
        if chunk is None or chunk.first or draft.peek(key) is not None:
            stored = await draft.get(key)
        if stored is not None and not _takes(stored, token, chunk):
            # A commit checks what it writes; what adds nothing has to be read again.
            stored = await draft.fresh(key)
        record = stored or StreamRecord(
            attempt=token.attempt,
            envelope=request.envelope,
            # So the first value needs no second transaction before it is read.
            reader=reader.reader if (reader := self._first_readers.get(key)) else "",
        )
        if token.attempt < record.attempt:
            raise TokenRefused
        record = replace(record, attempt=token.attempt)
        if chunk is not None and chunk.first > record.count:
            raise RequestConflict(
                f"The stream has {record.count} values, and these begin at {chunk.first}.",
                field="chunk",
            )
        if chunk is not None and chunk.first < record.count:
            # If its transaction returned no reply, the reader that waits does not know of it.
            draft.emit(Event(EventKind.KEY, token.account, key))
        if chunk is not None and _takes(record, token, chunk):
            chunks = await _with_chunk(draft, token, record.chunks, chunk)
            record = replace(record, count=record.count + chunk.count, chunks=chunks)
            draft.emit(Event(EventKind.KEY, token.account, key))
        if stored is None:
            draft.create(key, record)
        elif record != stored:
            draft.put(key, record)
        return record.count

    async def read(self, account: str, request: ReadStreamRequest) -> StreamRead:
        """Return values from a position on; wait for the first, or for the end of the job.

        Raises:
            JobNotFound: When the account has no such job.
            JobDeleted: When it was deleted.
            RequestConflict: When another client reads the stream, values from there on were read
                before, or the job has no stream.
            AccountBusy: When too many requests of the account wait.
        """
        key, deadline = layout.stream(account, request.jid), self._clock() + request.timeout_s
        (piece,) = await locate(self._view, account, [(request.jid, request.jid)])
        watched = {key, piece.page_id.batch}
        with (
            self._quota.waiting(account),
            self._watchers.watch(watched) as watch,
            self._first_reader(key, request) as mine,
        ):
            while True:
                watch.changed()
                # Both at the same moment: a job has sent its last value before its end is stored.
                await self._view.refresh([key, layout.page(piece.page_id)])
                if mine.is_replaced:
                    raise RequestConflict(_another(request.jid), field="reader")
                ended = await self._end(piece)
                record: StreamRecord | None = await self._view.get(key)
                if record is not None:
                    record = await self._without_read(account, request, record)
                    if record.count > request.start:
                        return await self._values(account, request.jid, record)
                elif ended is State.DONE:
                    raise RequestConflict(_no_stream(request.jid), field="jid")
                left_s = deadline - self._clock()
                if ended is not None or left_s <= 0 or self._watchers.closed:
                    envelope = record.envelope if record is not None else None
                    return StreamRead(chunks=[], envelope=envelope, has_ended=ended is not None)
                await watch.wait_for_change(left_s)
                record = self._view.peek(key)
                if record is not None and _is_next(record, request):
                    # Committed by this process meanwhile: no need to read it from the store.
                    return await self._values(account, request.jid, record)

    @contextmanager
    def _first_reader(self, key: str, request: ReadStreamRequest) -> Iterator[_FirstReader]:
        """Remember a reader that waits for the first value, in place of another one that does."""
        readers, mine = self._first_readers, _FirstReader(request.reader)
        if not request.take or request.start or self._view.peek(key) is not None:
            yield mine
            return
        earlier = readers.get(key)
        if earlier is not None and earlier.reader != mine.reader:
            earlier.is_replaced = True
        readers[key] = mine
        try:
            yield mine
        finally:
            if readers.get(key) is mine:
                del readers[key]

    async def _end(self, piece: PageSlice) -> State | None:
        """Return how a job has ended, as its page was last read; None if it has not."""
        page = await self._view.get(layout.page(piece.page_id))
        refuse_deleted(page, piece)
        return State(page.state[piece.start]) if page.ended(piece.start) else None

    async def _without_read(
        self, account: str, request: ReadStreamRequest, record: StreamRecord
    ) -> StreamRecord:
        """Remove what comes before the position that a reader wants."""
        _check(record, request)
        if record.reader == request.reader and record.removed == request.start:
            # If the transaction returned no reply, the job that waits does not know of it.
            self._watchers.wake(_read_event(layout.stream(account, request.jid)))
            return record
        plan = partial(self._taken, account=account, request=request)
        taken: StreamRecord = await self._commits.run(plan)
        return taken

    async def _taken(self, draft: Draft, account: str, request: ReadStreamRequest) -> StreamRecord:
        key = layout.stream(account, request.jid)
        record: StreamRecord = await draft.get(key)
        _check(record, request)
        if record.reader not in ("", request.reader):  # it may wait for the next value
            draft.emit(Event(EventKind.KEY, account, key))
        read = [each for each in record.chunks if each.first + each.count <= request.start]
        for each in read:
            if not each.digest:
                draft.delete(layout.chunk(account, request.jid, each.first))
        record = replace(
            record,
            reader=request.reader,
            chunks=record.chunks[len(read) :],
            removed=request.start,
        )
        draft.put(key, record)
        draft.emit(Event(EventKind.KEY, account, _read_event(key)))
        return record

    async def _values(self, account: str, jid: int, record: StreamRecord) -> StreamRead:
        keys = {each.first: layout.chunk(account, jid, each.first) for each in record.chunks}
        inline = [each for each in record.chunks if not each.digest]
        # A chunk only grows: one in memory that has the size of the record is the same.
        old = [each for each in inline if len(self._view.peek(keys[each.first]) or b"") < each.size]
        await self._view.refresh([keys[each.first] for each in old])
        chunks = []
        for each in record.chunks:
            data: bytes | None = None
            if not each.digest:
                data = await self._view.get(keys[each.first])
                if data is None:  # removed for another reader meanwhile
                    raise RequestConflict(_another(jid), field="reader")
                # It may have been merged with later values since the record was read.
            content = Content(each.digest, each.size, data)
            chunks.append(StreamChunk(each.first, each.count, content))
        return StreamRead(chunks=chunks, envelope=record.envelope)


class _FirstReader:
    """A reader that waits for the first value, and whether another one has begun since."""

    def __init__(self, reader: str) -> None:
        self.reader = reader
        self.is_replaced = False


async def _with_chunk(
    draft: Draft, token: JobToken, chunks: list[StreamChunkRef], chunk: StreamChunk
) -> list[StreamChunkRef]:
    """Store a chunk, with the last one if both are small; return what is stored then."""
    data = chunk.content.data
    if data is None:
        size, digest = chunk.content.size, chunk.content.digest
        return [*chunks, StreamChunkRef(chunk.first, chunk.count, size, digest)]
    last = chunks[-1] if chunks else None
    if last is not None and not last.digest and last.size + len(data) <= MERGED_BYTES:
        key = layout.chunk(token.account, token.jid, last.first)
        draft.put(key, await draft.get(key) + data)
        merged = StreamChunkRef(last.first, last.count + chunk.count, last.size + len(data))
        return [*chunks[:-1], merged]
    draft.put(layout.chunk(token.account, token.jid, chunk.first), data)
    return [*chunks, StreamChunkRef(chunk.first, chunk.count, len(data))]


def _takes(record: StreamRecord, token: JobToken, chunk: StreamChunk | None) -> bool:
    """Whether a chunk follows what an attempt or earlier ones have added, and there is room."""
    has_room = record.size < MAX_UNREAD_BYTES and len(record.chunks) < MAX_UNREAD_CHUNKS
    follows = chunk is not None and chunk.first == record.count
    return has_room and follows and token.attempt >= record.attempt


def _check(record: StreamRecord, request: ReadStreamRequest) -> None:
    """Refuse a reader that another one has replaced, or a position without values.

    Raises:
        RequestConflict: Says what to do.
    """
    if record.reader not in ("", request.reader) and not request.take:
        raise RequestConflict(_another(request.jid), field="reader")
    if request.start < record.removed:
        raise RequestConflict(
            f"The values before position {record.removed} of the stream of job {request.jid} were "
            f"read and removed: read on with start={record.removed}.",
            field="start",
        )
    if request.start > record.count:
        raise RequestConflict(
            f"The stream of job {request.jid} has had {record.count:,} values so far: start cannot "
            f"be {request.start:,}.",
            field="start",
        )


def _is_next(record: StreamRecord, request: ReadStreamRequest) -> bool:
    """Whether a stream has values from where its reader is to read on, and nothing to remove."""
    return record.reader == request.reader and record.removed == request.start < record.count


def _read_event(key: str) -> str:
    return f"{key}/read"


def _another(jid: int) -> str:
    return f"Another program has begun to read the stream of job {jid}: a stream has one reader."


def _no_stream(jid: int) -> str:
    return f"Job {jid} has ended and has no stream: make jobs that have one with cloud.stream."
