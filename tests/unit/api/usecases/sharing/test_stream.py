"""Streams: durable, bounded, in order, each value once, and fenced by the attempt of the job."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from msgspec.structs import replace
from picloud_api.store import layout
from picloud_api.store.commits import Commits
from picloud_api.store.view import View
from picloud_api.usecases.accounts.account import Caller
from picloud_api.usecases.sharing.stream import Streams
from picloud_model.errors import (
    BlobMissing,
    JobDeleted,
    JobNotFound,
    NotAllowed,
    RequestConflict,
    RequestRefused,
    TokenRefused,
    TooLarge,
)
from picloud_model.job import State
from picloud_model.token import JobToken
from picloud_model.wire import LONGEST_POLL_S, Content
from picloud_model.wire.stream import (
    MAX_CHUNK_BYTES,
    MAX_UNREAD_BYTES,
    MAX_UNREAD_CHUNKS,
    AppendStreamRequest,
    ReadStreamRequest,
    StreamChunk,
    StreamRead,
)

from tests.polling import eventually
from tests.unit.api.api_harness import ACCOUNT, ENVELOPE, report_of
from tests.unit.api.blob_history import BlobHistory, content
from tests.unit.api.passing_watchers import PassingWatchers
from tests.unit.api.recording_state import SharedRecordingState

if TYPE_CHECKING:
    from picloud_api.engine.process.slot_sessions import SlotSession
    from picloud_api.store.draft import Draft
    from picloud_api.store.records import StreamRecord
    from picloud_model import wire

    from tests.unit.api.api_harness import ApiHarness
    from tests.unit.api.conftest import StartApi

LARGE = MAX_CHUNK_BYTES


class Yielding:
    """A job that runs in a slot, and yields values of one byte."""

    def __init__(self, api: ApiHarness, jid: int, slot: SlotSession, lease: wire.Lease) -> None:
        self.api, self.jid, self.slot, self.lease = api, jid, slot, lease
        self.attempt = lease.jobs[0].attempt
        self.reader = uuid4().hex

    @classmethod
    async def begun(cls, api: ApiHarness) -> Yielding:
        """Submit it and lease it."""
        (jid,) = await api.submit(1)
        slot = await api.slot()
        (lease,) = (await api.work(slot)).leases
        return cls(api, jid, slot, lease)

    async def again(self) -> Yielding:
        """Lose its slot; return its next attempt."""
        await self.api.lose(self.slot)
        slot = await self.api.slot()
        (lease,) = (await self.api.work(slot)).leases
        return type(self)(self.api, self.jid, slot, lease)

    async def append(self, first: int, data: bytes | Content | None, timeout_s: float = 0.0) -> int:
        """Add values; return how many there are then."""
        caller = Caller(
            ACCOUNT, self.jid, JobToken(ACCOUNT, self.slot.number, self.jid, self.attempt)
        )
        chunk = None
        if data is not None:
            held = data if isinstance(data, Content) else Content(size=len(data), data=data)
            chunk = StreamChunk(first, 1 if isinstance(data, Content) else len(data), held)
        request = AppendStreamRequest(envelope=ENVELOPE, chunk=chunk, timeout_s=timeout_s)
        return (await self.api.use_cases.sharing.streams.append(caller, request)).count

    async def read(
        self, start: int, reader: str = "", timeout_s: float = 0.0, *, take: bool = True
    ) -> StreamRead:
        """Read values from a position on."""
        request = ReadStreamRequest(
            jid=self.jid, start=start, reader=reader or self.reader, take=take, timeout_s=timeout_s
        )
        return await self.api.use_cases.sharing.streams.read(ACCOUNT, request)

    async def removed(self, count: int) -> None:
        """Wait until the reader has removed so many values, and waits for the next one."""
        key, view = layout.stream(ACCOUNT, self.jid), self.api.server.context.commits.view

        def is_removed() -> bool:
            record: StreamRecord = view.peek(key)
            return record.removed == count

        await eventually(is_removed, f"{count} values are removed")

    async def end(self, state: State = State.DONE) -> None:
        """End the job."""
        await self.api.work(self.slot, reports=[report_of(self.lease, state)], lease=False)

    async def stored(self) -> int:
        """Count the values that are stored, in keys."""
        prefix = layout.chunk(ACCOUNT, self.jid, 0)[:-16]
        return len(await self.api.server.ports.state.scan(prefix))


def data_of(read: StreamRead) -> bytes:
    """Return all bytes that were read."""
    return b"".join(chunk.content.data or b"" for chunk in read.chunks)


async def test_values_are_read_in_order_until_the_job_ends(api: ApiHarness) -> None:
    """A request with a later position removes what comes before it; then the end is known."""
    job = await Yielding.begun(api)
    assert await job.append(0, b"abc") == 3
    assert await job.append(0, b"abc") == 3
    first = await job.read(0)
    assert (data_of(first), first.envelope, first.has_ended) == (b"abc", ENVELOPE, False)
    assert data_of(await job.read(2)) == b"abc"
    with pytest.raises(RequestConflict, match="read on with start=2"):
        await job.read(1)

    assert await job.append(3, bytes(LARGE)) == LARGE + 3
    (chunk,) = (await job.read(3)).chunks
    assert (chunk.first, chunk.count) == (3, LARGE)
    assert await job.stored() == 1
    await job.end()

    assert not (await job.read(3)).has_ended
    assert (await job.read(LARGE + 3)).has_ended
    assert await job.stored() == 0


async def test_small_values_share_a_key(api: ApiHarness) -> None:
    """Otherwise forty slow values would be all that a job may be ahead of its reader."""
    job = await Yielding.begun(api)
    for at in range(100):
        assert await job.append(at, b"x") == at + 1

    assert await job.stored() == 1
    (chunk,) = (await job.read(0)).chunks
    assert (chunk.count, chunk.content.data) == (100, b"x" * 100)


@pytest.mark.parametrize(
    "size", [MAX_UNREAD_BYTES // (MAX_UNREAD_CHUNKS - 1), LARGE], ids=["chunks", "bytes"]
)
async def test_a_job_waits_for_its_reader(api: ApiHarness, size: int) -> None:
    """What does not fit is not added; a request that waits adds it once more was read."""
    job = await Yielding.begun(api)
    count, room = 0, 0
    while (now := await job.append(count, bytes(size))) != count:
        count, room = now, room + 1
    assert 4 <= room <= MAX_UNREAD_CHUNKS

    waiting = asyncio.create_task(job.append(count, b"x", timeout_s=20))
    await asyncio.sleep(0)
    assert not waiting.done()
    await job.read(size)

    assert await waiting == count + 1
    assert await job.append(count + 1, b"x") in (count + 1, count + 2)


async def test_a_reader_waits_for_values_and_for_the_end(api: ApiHarness) -> None:
    """Each wakes its request."""
    job = await Yielding.begun(api)
    waiting = asyncio.create_task(job.read(0, timeout_s=20))
    await asyncio.sleep(0)
    await job.append(0, b"a")
    assert data_of(await waiting) == b"a"

    waiting = asyncio.create_task(job.read(1, timeout_s=20))
    await asyncio.sleep(0)
    await job.end(State.ERROR)
    assert (await waiting).has_ended


async def test_a_value_costs_one_transaction_before_it_is_read(start_api: StartApi) -> None:
    """A request that adds it reads nothing from a store that is shared, nor does its reader.

    The reader removes it later: one read and one transaction, before it waits for the next value.
    """
    api = await start_api(SharedRecordingState)
    job = await Yielding.begun(api)
    await job.append(0, b"a")
    await job.read(0)
    for at in range(1, 4):
        api.state.reads.clear()
        api.state.commits.clear()
        waiting = asyncio.create_task(job.read(at, timeout_s=20, take=False))
        await job.removed(at)
        removing = (len(api.state.reads), len(api.state.commits))
        await job.append(at, b"x")

        assert data_of(await waiting) == b"x"
        assert removing == (1, 1)
        assert (len(api.state.reads), len(api.state.commits)) == (1, 2)


async def test_the_first_value_costs_one_transaction_too(start_api: StartApi) -> None:
    """It records the reader that waits; a later one takes its place as ever."""
    api = await start_api(SharedRecordingState)
    job = await Yielding.begun(api)
    waiting = asyncio.create_task(job.read(0, timeout_s=20))
    key = layout.stream(ACCOUNT, job.jid)
    await eventually(lambda: any(key in keys for keys in api.state.reads), "the reader waits")
    api.state.reads.clear()
    api.state.commits.clear()

    await job.append(0, b"a")

    assert data_of(await waiting) == b"a"
    assert (api.state.reads, len(api.state.commits)) == ([], 1)
    assert data_of(await job.read(0, uuid4().hex)) == b"a"
    with pytest.raises(RequestConflict, match="Another program has begun to read"):
        await job.read(1, take=False)


async def test_of_two_that_wait_for_the_first_value_the_last_one_reads(api: ApiHarness) -> None:
    """The other one gets an error when the value comes."""
    job, other = await Yielding.begun(api), uuid4().hex
    replaced = asyncio.create_task(job.read(0, timeout_s=20))
    await asyncio.sleep(0)
    waiting = asyncio.create_task(job.read(0, other, timeout_s=20))
    await asyncio.sleep(0)

    await job.append(0, b"a")

    assert data_of(await waiting) == b"a"
    with pytest.raises(RequestConflict, match="Another program has begun to read"):
        await replaced
    assert (await job.read(1, other, take=False)).chunks == []


async def test_a_wait_reads_its_keys_twice(start_api: StartApi) -> None:
    """When it begins and when it ends, however long that is: events say what changes meanwhile."""
    api = await start_api(SharedRecordingState)
    job = await Yielding.begun(api)
    await job.append(0, b"a")
    await job.read(0)
    await job.read(1)
    context = replace(api.server.context, batch_watchers=PassingWatchers(api))
    streams = Streams(context, api.use_cases.storage.known_blobs, api.use_cases.accounts.quota)
    request = ReadStreamRequest(jid=job.jid, start=1, reader=job.reader, timeout_s=LONGEST_POLL_S)
    began, key = api.now, layout.stream(ACCOUNT, job.jid)
    api.state.reads.clear()

    assert (await streams.read(ACCOUNT, request)).chunks == []
    assert api.now == began + LONGEST_POLL_S
    assert sum(key in keys for keys in api.state.reads) == 2


async def test_a_job_that_waits_asks_twice(start_api: StartApi) -> None:
    """When it begins and when it ends; its reader wakes it, also one whose reply was lost."""
    api = await start_api(SharedRecordingState)
    job = await Yielding.begun(api)
    for first in range(0, MAX_UNREAD_BYTES, LARGE):
        await job.append(first, bytes(LARGE))
    context = replace(api.server.context, batch_watchers=PassingWatchers(api))
    streams = Streams(context, api.use_cases.storage.known_blobs, api.use_cases.accounts.quota)
    chunk = StreamChunk(MAX_UNREAD_BYTES, 1, Content(size=1, data=b"x"))
    request = AppendStreamRequest(envelope=ENVELOPE, chunk=chunk, timeout_s=LONGEST_POLL_S)
    began, key = api.now, layout.stream(ACCOUNT, job.jid)
    api.state.reads.clear()

    caller = Caller(ACCOUNT, job.jid, JobToken(ACCOUNT, job.slot.number, job.jid, job.attempt))
    assert (await streams.append(caller, request)).count == MAX_UNREAD_BYTES
    assert api.now == began + LONGEST_POLL_S
    # Before it waits at all, it is asked once without waiting.
    assert sum(key in keys for keys in api.state.reads) == 3


async def test_what_is_repeated_wakes_those_who_wait(api: ApiHarness) -> None:
    """A transaction whose reply was lost has called no listener; its repeat makes up for it."""
    job = await Yielding.begun(api)
    await job.append(0, b"a")
    await job.read(0)
    waiting = asyncio.create_task(job.read(1, timeout_s=20))
    await job.removed(1)
    with api.missed_events():
        await job.append(1, b"b")
    await job.append(1, b"b")
    assert data_of(await waiting) == b"b"

    for first in range(2, 2 + MAX_UNREAD_BYTES, LARGE):
        await job.append(first, bytes(LARGE))
    end = 2 + MAX_UNREAD_BYTES
    adding = asyncio.create_task(job.append(end, b"z", timeout_s=20))
    key = f"{layout.stream(ACCOUNT, job.jid)}/read"
    await eventually(lambda: api.server.context.batch_watchers.watched(key), "it waits")
    with api.missed_events():
        await job.read(end)
    await job.read(end)
    assert await adding == end + 1


async def test_a_reader_that_waits_hears_of_another_one_at_once(api: ApiHarness) -> None:
    """Though no value has come since."""
    job = await Yielding.begun(api)
    await job.append(0, b"a")
    await job.read(0)
    waiting = asyncio.create_task(job.read(1, timeout_s=20, take=False))
    await job.removed(1)

    await job.read(1, uuid4().hex)

    with pytest.raises(RequestConflict, match="Another program has begun to read"):
        await waiting


async def test_a_reader_that_another_process_has_replaced_gets_no_value(
    start_api: StartApi,
) -> None:
    """The memory of this process does not know of the other reader; the next value does."""
    api = await start_api(SharedRecordingState)
    job = await Yielding.begun(api)
    await job.append(0, b"a")
    await job.read(0)
    waiting = asyncio.create_task(job.read(1, timeout_s=20, take=False))
    await job.removed(1)
    key = layout.stream(ACCOUNT, job.jid)

    async def taken(draft: Draft) -> None:
        record: StreamRecord = await draft.get(key)
        draft.put(key, replace(record, reader=uuid4().hex))

    await Commits(View(api.state), "two").run(taken)
    await job.append(1, b"b")

    with pytest.raises(RequestConflict, match="Another program has begun to read"):
        await waiting


async def test_the_next_attempt_adds_what_is_new(api: ApiHarness) -> None:
    """Positions go on; the lost attempt adds nothing more, though it may still run."""
    job = await Yielding.begun(api)
    await job.append(0, b"ab")
    await job.read(2)
    again = await job.again()

    assert await again.append(0, b"a") == 2
    assert await again.append(2, b"c") == 3
    with pytest.raises(TokenRefused):
        await job.append(3, b"d")
    assert data_of(await again.read(2)) == b"c"


async def test_a_restart_keeps_what_was_not_read(api: ApiHarness) -> None:
    """Everything but the state store is forgotten."""
    job = await Yielding.begun(api)
    await job.append(0, b"abc")
    await api.stop()
    await api.start()

    assert data_of(await job.read(0)) == b"abc"


async def test_a_stream_has_one_reader_the_last_one_that_began(api: ApiHarness) -> None:
    """The earlier one gets an error, at once also where it waits, and removes nothing."""
    job = await Yielding.begun(api)
    await job.append(0, b"a")
    await job.read(0)
    waiting = asyncio.create_task(job.read(1, timeout_s=20, take=False))
    await asyncio.sleep(0)
    await job.append(1, bytes(LARGE))
    await waiting
    other = uuid4().hex

    assert len(data_of(await job.read(1, other))) == LARGE
    for start in (1, LARGE + 1):
        with pytest.raises(RequestConflict, match="Another program has begun to read the stream"):
            await job.read(start, take=False)
    assert await job.stored() == 1


async def test_positions_without_values_are_refused(api: ApiHarness) -> None:
    """The message names the first position that can be read, or how many values there are."""
    job = await Yielding.begun(api)
    await job.append(0, b"abc")
    await job.read(3)

    with pytest.raises(RequestConflict, match=r"before position 3 .* read on with start=3"):
        await job.read(2)
    with pytest.raises(RequestConflict, match=r"has had 3 values so far: start cannot be 4\."):
        await job.read(4)
    with pytest.raises(RequestConflict, match="has 3 values, and these begin at 5"):
        await job.append(5, b"x")


async def test_an_ordinary_job_has_no_stream(api: ApiHarness) -> None:
    """That is known when it is done; of a job that failed the reader learns its error instead."""
    done, failed = await Yielding.begun(api), await Yielding.begun(api)
    await done.end()
    await failed.end(State.ERROR)

    with pytest.raises(
        RequestConflict, match=rf"Job {done.jid} has ended and has no stream: make jobs"
    ):
        await done.read(0)
    assert (await failed.read(0)).has_ended


async def test_a_stream_without_values_is_one(api: ApiHarness) -> None:
    """A generator that ends at once adds none."""
    job = await Yielding.begun(api)
    assert await job.append(0, None) == 0
    await job.end()

    assert (await job.read(0)).has_ended


async def test_large_values_are_blobs(api: ApiHarness) -> None:
    """They must be stored before, and are kept until they are read."""
    job = await Yielding.begun(api)
    with pytest.raises(BlobMissing):
        await job.append(0, content(b"large"))
    await BlobHistory(api).put(b"large")
    assert await job.append(0, content(b"large")) == 1

    references = api.use_cases.storage.sweep._references
    digests = {sha256(b"large").hexdigest()}
    assert await references.unreferenced(ACCOUNT, digests) == set()
    (chunk,) = (await job.read(0)).chunks
    assert chunk.content == content(b"large")
    await job.read(1)
    assert await references.unreferenced(ACCOUNT, digests) == digests


async def test_invalid_content_is_refused(api: ApiHarness) -> None:
    """Too much for a request, bytes with a digest, and what is not a digest."""
    job = await Yielding.begun(api)

    with pytest.raises(TooLarge, match=r"262,144 bytes at most; send more as a blob"):
        await job.append(0, bytes(LARGE + 1))
    for invalid in (Content("0" * 64, 1, b"x"), Content(), Content("../x")):
        with pytest.raises(RequestRefused):
            await job.append(0, invalid)


async def test_streams_belong_to_their_account(api: ApiHarness) -> None:
    """A client cannot add values, and another account finds no such job."""
    job = await Yielding.begun(api)
    streams = api.use_cases.sharing.streams

    with pytest.raises(NotAllowed, match="Only a job adds values"):
        await streams.append(Caller(ACCOUNT), AppendStreamRequest(envelope=ENVELOPE))
    with pytest.raises(JobNotFound):
        await streams.read(
            "a0000002", ReadStreamRequest(jid=job.jid, start=0, reader=job.reader, take=True)
        )


async def test_the_stream_of_a_deleted_job_cannot_be_read(api: ApiHarness) -> None:
    """At once, though the sweeper deletes it later."""
    job = await Yielding.begun(api)
    await job.append(0, b"abc")
    await job.end()
    await api.use_cases.jobs.delete.delete(ACCOUNT, [(job.jid, job.jid)])

    with pytest.raises(JobDeleted):
        await job.read(0)
