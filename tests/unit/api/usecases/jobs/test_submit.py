"""Submit: jids, repeated requests, refusals, and the number of transactions."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest
from picloud_api.store import layout
from picloud_model import wire
from picloud_model.errors import BlobMissing, RequestRefused, SubmitChanged

from tests.unit.api.api_harness import ACCOUNT
from tests.unit.api.recording_state import SharedRecordingState

if TYPE_CHECKING:
    from picloud_api.store.draft import Draft

    from tests.unit.api.api_harness import ApiHarness, StartApi


async def test_jids_are_serial_and_consecutive(api: ApiHarness) -> None:
    """The first job has jid 1, a map's jids are consecutive, the next batch follows."""
    assert await api.submit(1) == range(1, 2)
    assert await api.submit(2500) == range(2, 2502)
    assert await api.submit(3) == range(2502, 2505)


async def test_a_repeated_submit_returns_its_own_jids(api: ApiHarness) -> None:
    """The same request, even after a restart, returns the same jids and creates no job."""
    request = api.request(10)
    first = await api.send(request)

    again = await api.send(request)
    await api.stop()
    await api.start()
    after_restart = await api.send(request)

    assert first == again == after_restart
    assert await api.submit(1) == range(11, 12)


async def test_a_submit_id_identifies_one_request(api: ApiHarness) -> None:
    """Another request with the same submit id is refused."""
    request = api.request(10)
    await api.send(request)

    with pytest.raises(SubmitChanged):
        await api.use_cases.jobs.submit.submit(ACCOUNT, request, b"another body")


async def test_concurrent_submits_get_different_jids(api: ApiHarness) -> None:
    """A hundred submits at the same time get a hundred jids without gaps."""
    made = await asyncio.gather(*(api.submit(1) for _ in range(100)))

    assert sorted(jids[0] for jids in made) == list(range(1, 101))


async def test_one_call_costs_one_transaction(api: ApiHarness) -> None:
    """A call with its arguments and first page is stored and made visible in one transaction."""
    before = api.server.context.commits.transactions

    await api.submit(1)

    assert api.server.context.commits.transactions == before + 1


async def test_a_large_map_takes_few_transactions(api: ApiHarness) -> None:
    """A map of 100,000 jobs costs less than 1,000 transactions, and all its jobs are queued."""
    before = api.server.context.commits.transactions

    jids = await api.submit(100_000)

    assert len(jids) == 100_000
    assert api.server.context.commits.transactions - before < 1_000
    assert set(await api.statuses(jids)) == {"queued"}


async def test_a_large_map_makes_way_while_others_commit(start_api: StartApi) -> None:
    """Its pages are stored sixteen at a time; once other changes had to wait, four at a time."""
    api = await start_api(SharedRecordingState)
    state, commits = api.state, api.server.context.commits
    assert isinstance(state, SharedRecordingState)
    stored: list[int] = []

    async def before_commit() -> None:
        if (size := state.commits[-1]) > 1:  # neither a mark nor a pack of arguments
            stored.append(size)
        if stored == [16, 16] and not others:
            others.append(asyncio.create_task(commits.run(set_other)))
        await asyncio.sleep(0)  # as a transaction over a network takes time

    async def set_other(draft: Draft) -> None:
        draft.put(layout.next_jid("a0000002"), 7)

    others: list[asyncio.Task[None]] = []
    request = api.request(60_000)
    state.before_commit = before_commit
    await api.use_cases.jobs.submit.store_ahead(ACCOUNT, request)
    await asyncio.gather(*others)

    assert stored[:2] == [16, 16]
    assert stored[2] <= 4 + 1  # the other change may be in it
    assert 60 <= sum(stored) <= 60 + 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"options": wire.Options(core_type="x9")}, "options.core_type"),
        ({"options": wire.Options(core_type="c1", cores=2)}, "options.cores"),
        ({"options": wire.Options(env="base/lenny")}, "options.env"),
        ({"options": wire.Options(vols=["data"])}, "options.vols"),
        ({"options": wire.Options(os_env_vars={"A": "x" * 40_000})}, "options.os_env_vars"),
        ({"count": 11}, "parts"),
        ({"count": 9}, "parts"),
        ({"parts": [wire.PackPart(0, 10, wire.Content("", 0, b"no pack"))]}, "packs"),
        ({"parts": [wire.PackPart(995, 10, wire.Content("", 0, b""))]}, "parts"),
    ],
)
async def test_an_invalid_submit_is_refused(
    api: ApiHarness, change: dict[str, object], field: str
) -> None:
    """The error names the field, and no jid is used."""
    request = msgspec.structs.replace(api.request(10), **change)

    with pytest.raises(RequestRefused) as refused:
        await api.send(request)

    assert refused.value.field == field
    assert await api.submit(1) == range(1, 2)


async def test_missing_blobs_are_named(api: ApiHarness) -> None:
    """The error lists the digests of blobs that the account has not stored."""
    request = msgspec.structs.replace(api.request(1), function=wire.Content("a" * 64, 9))

    with pytest.raises(BlobMissing) as missing:
        await api.send(request)

    assert missing.value.digests == ("a" * 64,)


async def test_staged_packs_belong_to_the_submit_that_follows(api: ApiHarness) -> None:
    """Packs that were sent ahead, even twice, and those of the submit make one batch."""
    request = api.request(3000)
    ahead = wire.StageRequest(submit_id=request.submit_id, parts=request.parts[:2])
    await api.use_cases.jobs.submit.stage(ACCOUNT, ahead)
    await api.use_cases.jobs.submit.stage(ACCOUNT, ahead)

    jids = await api.send(msgspec.structs.replace(request, parts=request.parts[2:]))

    assert len(jids) == 3000
    again = await api.send(msgspec.structs.replace(request, parts=request.parts[2:]))
    assert again == jids


async def test_a_repeated_submit_does_not_reset_jobs(api: ApiHarness) -> None:
    """A large map that is sent again while its jobs run changes none of them."""
    request = api.request(100_000)
    jids = await api.send(request)
    await api.use_cases.jobs.kill.kill(ACCOUNT, [(jids[0], jids[0])])
    api.server.context.commits.view.forget_all()

    assert await api.send(request) == jids
    await api.use_cases.jobs.submit.store_ahead(ACCOUNT, request)

    assert (await api.statuses(jids))[:2] == ["killed", "queued"]


async def test_a_batch_that_a_job_submits_names_it_as_parent(api: ApiHarness) -> None:
    """The header and the ready marker hold the jid of the parent."""
    request = api.request(1)

    await api.use_cases.jobs.submit.submit(ACCOUNT, request, b"f" * 16, parent=7)

    header = await api.server.context.commits.view.get(layout.header(ACCOUNT, request.submit_id))
    ready = await api.server.context.commits.view.get(layout.ready(ACCOUNT, request.submit_id))
    assert (header.parent, ready.parent) == (7, 7)


async def test_a_lease_at_submit_changes_one_page(api: ApiHarness) -> None:
    """A slot that waits gets jobs of the first page; those of the others stay queued."""
    slot = await api.slot()
    waiting = asyncio.create_task(api.work(slot, wait_s=10))
    await asyncio.sleep(0)

    jids = await api.submit(2000)

    (lease,) = (await waiting).leases
    view = api.server.context.commits.view
    pages = [view.peek(layout.page(layout.PageId(ACCOUNT, lease.batch, n))) for n in (0, 1)]
    assert [page.leased for page in pages] == [len(lease.jobs), 0]
    assert len(jids) == 2000
