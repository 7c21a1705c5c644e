"""Bulk changes: work on many pages makes way while others commit."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import pytest
from picloud_api.engine.process.bulk_change import BulkChange
from picloud_api.engine.process.turns import Turns

from tests.unit.api.recording_state import SharedRecordingState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.unit.api.api_harness import ApiHarness, StartApi


async def test_transactions_grow_while_nobody_waits(start_api: StartApi) -> None:
    """Each changes a page more than the one before, up to the most; the last one what is left."""
    commits = (await start_api(SharedRecordingState)).server.context.commits
    changed: list[list[int]] = []

    async def change(pages: Sequence[int]) -> None:
        changed.append([*pages])

    await BulkChange(commits, Turns(), least=1, most=3).through(range(10), change)

    assert changed == [[0], [1, 2], [3, 4, 5], [6, 7, 8], [9]]


async def test_a_transaction_that_others_waited_for_is_followed_by_a_pause(
    start_api: StartApi,
) -> None:
    """The next one has the least pages; the longer the transaction took, the later it comes."""
    commits = (await start_api(SharedRecordingState)).server.context.commits
    sizes, pauses, ticks = list[int](), list[float](), count(0.0, 0.5)

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    async def change(pages: Sequence[int]) -> None:
        sizes.append(len(pages))
        commits.contended = len(sizes) == 3

    turns = Turns(clock=lambda: next(ticks))
    bulk = BulkChange(commits, turns, least=2, most=9, pause=3.0, sleep=sleep)
    await bulk.through(range(14), change)

    assert sizes == [2, 3, 4, 2, 3]
    assert pauses == [1.5]


@pytest.mark.parametrize(("waited", "sizes"), [(0, [8, 8, 8]), (2, [8, 8, 2, 3, 3])])
async def test_work_that_has_just_begun_may_change_the_most_pages(
    start_api: StartApi, waited: int, sizes: list[int]
) -> None:
    """It begins with as many as `first` says; once others wait, it makes way as all such work."""
    commits = (await start_api(SharedRecordingState)).server.context.commits
    changed: list[int] = []

    async def change(pages: Sequence[int]) -> None:
        changed.append(len(pages))
        commits.contended = len(changed) == waited

    await BulkChange(commits, Turns(), least=2, most=8, first=8).through(range(24), change)

    assert changed == sizes


async def test_the_embedded_store_commits_as_many_pages_each_time(api: ApiHarness) -> None:
    """It runs on the event loop, which serves others between two transactions."""
    sizes: list[int] = []

    async def change(pages: Sequence[int]) -> None:
        sizes.append(len(pages))

    commits = api.server.context.commits
    await BulkChange(commits, Turns(), least=1, most=8).through(range(3), change)
    await BulkChange(commits, Turns(), least=1, most=8, first=2).through(range(3), change)

    assert sizes == [1, 1, 1, 2, 1]
