"""The stream sweeper: streams go with their jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_api.store import layout
from picloud_api.usecases.accounts.account import Caller
from picloud_model.token import JobToken
from picloud_model.wire import Content
from picloud_model.wire.stream import MAX_CHUNK_BYTES, AppendStreamRequest, StreamChunk

from tests.unit.api.api_harness import ACCOUNT, ENVELOPE, report_of

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness


async def begun(api: ApiHarness, chunks: int, *, ended: bool) -> int:
    """Have a job add some large chunks to its stream; return its jid."""
    (jid,) = await api.submit(1)
    slot = await api.slot()
    (lease,) = (await api.work(slot)).leases
    caller = Caller(ACCOUNT, jid, JobToken(ACCOUNT, slot.number, jid, 1))
    for number in range(chunks):
        content = Content(size=MAX_CHUNK_BYTES, data=bytes(MAX_CHUNK_BYTES))
        request = AppendStreamRequest(envelope=ENVELOPE, chunk=StreamChunk(number, 1, content))
        await api.use_cases.sharing.streams.append(caller, request)
    if ended:
        await api.work(slot, reports=[report_of(lease)], lease=False)
    return jid


async def test_streams_of_deleted_jobs_are_deleted(api: ApiHarness) -> None:
    """With their values; those of jobs that run, or are kept, stay."""
    deleted, kept = await begun(api, 3, ended=True), await begun(api, 2, ended=True)
    await begun(api, 0, ended=False)
    await api.use_cases.jobs.delete.delete(ACCOUNT, [(deleted, deleted)])

    for _ in range(2):
        await api.server.background.stream_sweeper.sweep_if_leader()

    state = api.server.ports.state
    assert [each.key for each in await state.scan(layout.stream(ACCOUNT))] == [
        layout.stream(ACCOUNT, kept)
    ]
    chunks = [each.key for each in await state.scan(layout.chunk(ACCOUNT, 0, 0).split("/")[0])]
    assert chunks == [layout.chunk(ACCOUNT, kept, number) for number in (0, 1)]
