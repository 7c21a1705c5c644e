"""Memos: which submits return an earlier batch."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace
from picloud_api.store import layout
from picloud_api.usecases.storage.known_blobs import KNOWN_S
from picloud_model import wire
from picloud_model.errors import KeyReused

from tests.unit.api.api_harness import ACCOUNT, report_of
from tests.unit.api.blob_history import BlobHistory, content

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness

NAME, CONTENT, OTHER = "a" * 64, "b" * 64, "c" * 64


def keyed(api: ApiHarness, jobs: int = 1, **changes: Any) -> wire.SubmitRequest:
    """Return a request that may return an earlier batch."""
    values: dict[str, Any] = {"name": NAME, "content": CONTENT, "kept_s": 100.0, **changes}
    return replace(api.request(jobs), reuse=wire.Reuse(**values))


async def test_the_same_key_is_the_same_batch(api: ApiHarness) -> None:
    """Also after a restart; of requests at the same time all but one return the other's jids."""
    made = await asyncio.gather(*(api.send(keyed(api, 2)) for _ in range(5)))
    await api.stop()
    await api.start()

    assert {*made, await api.send(keyed(api, 2))} == {range(1, 3)}
    assert await api.submit(1) == range(3, 4)


async def test_other_content_is_refused(api: ApiHarness) -> None:
    """And nothing is made."""
    await api.send(keyed(api))

    with pytest.raises(KeyReused):
        await api.send(keyed(api, content=OTHER))
    assert await api.submit(1) == range(2, 3)


async def test_a_batch_counts_for_some_time(api: ApiHarness) -> None:
    """As long as its own request and the later one say; then it is forgotten."""
    first = await api.send(keyed(api))
    api.now += 50
    assert await api.send(keyed(api)) == first
    second = await api.send(keyed(api, kept_s=10.0))
    assert second != first

    api.now += 11
    third = await api.send(keyed(api, content=OTHER))
    assert third not in (first, second)
    context = api.server.context
    sweeper = api.server.background.stage_sweeper
    await sweeper.sweep()
    assert await context.commits.view.fresh(layout.memo(ACCOUNT, NAME)) is not None
    api.now += 101
    await sweeper.sweep()
    assert await context.commits.view.fresh(layout.memo(ACCOUNT, NAME)) is None


async def test_keys_belong_to_accounts(api: ApiHarness) -> None:
    """The same key of another account names another batch."""
    request = keyed(api)
    await api.send(request)
    submit = api.use_cases.jobs.submit.submit

    assert (await submit("a0000002", request, b"x")).first == 1


async def test_results_count_while_they_are_there(api: ApiHarness) -> None:
    """Not those of failed or deleted jobs; jobs that have not ended are shared."""
    first = await api.send(keyed(api, done_only=True))
    assert await api.send(keyed(api, done_only=True)) == first
    slot = await api.slot()
    answer = await api.work(slot)
    await api.work(slot, reports=[report_of(answer.leases[0])])
    assert await api.send(keyed(api, done_only=True)) == first

    await api.use_cases.jobs.delete.delete(ACCOUNT, [(first[0], first[-1])])
    second = await api.send(keyed(api, done_only=True))
    assert second != first
    await api.use_cases.jobs.kill.kill(ACCOUNT, [(second[0], second[-1])])
    assert await api.send(keyed(api, done_only=True)) not in (first, second)


async def test_results_whose_blobs_are_gone_are_made_again(api: ApiHarness) -> None:
    """A large result counts while its blob is stored."""
    data = b"a large result"
    history = BlobHistory(api)
    await history.put(data)
    first = await api.send(keyed(api, done_only=True, kept_s=10 * KNOWN_S))
    slot = await api.slot()
    (lease,) = (await api.work(slot)).leases
    report = report_of(lease)
    spilled = [replace(each, payload=b"", blob=content(data)) for each in report.ended]
    await api.work(slot, reports=[replace(report, ended=spilled)], lease=False)
    assert await api.send(keyed(api, done_only=True, kept_s=10 * KNOWN_S)) == first

    await api.server.ports.blobs.delete(f"{ACCOUNT}/{content(data).digest}")
    api.now += 2 * KNOWN_S  # until then it is known to be stored

    assert await api.send(keyed(api, done_only=True, kept_s=10 * KNOWN_S)) != first
