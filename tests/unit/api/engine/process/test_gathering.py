"""Gathering: items that tasks add in the same round are handed over together."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from picloud_api.engine.process.gathering import Gathering
from picloud_model.errors import AccountBusy, RequestRefused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence


class Recorded:
    """Doubles numbers, and records which of them were handed over together."""

    def __init__(self, refused: int = -1, error: BaseException | None = None) -> None:
        self.groups: list[list[int]] = []
        self.refused = refused
        self.error = error
        self.open = asyncio.Event()
        self.open.set()

    async def double(self, items: Sequence[int]) -> list[int]:
        """Return the double of each number; fail if one of them is refused."""
        self.groups.append([*items])
        await self.open.wait()
        if self.error is not None and self.refused in items:
            raise self.error
        return [2 * item for item in items]


async def test_items_of_one_round_are_handed_over_together() -> None:
    """Each task gets what was made of its own item."""
    gathering, recorded = Gathering[int, int](100), Recorded()

    made = await asyncio.gather(*(gathering.add("a", each, recorded.double) for each in range(5)))

    assert made == [0, 2, 4, 6, 8]
    assert recorded.groups == [[0, 1, 2, 3, 4]]


async def test_items_wait_while_earlier_ones_are_handed_over() -> None:
    """What is added meanwhile is one group, whenever it was added."""
    gathering, recorded = Gathering[int, int](100), Recorded()
    recorded.open.clear()
    tasks = [asyncio.create_task(gathering.add("a", 0, recorded.double))]
    while not recorded.groups:  # noqa: ASYNC110 - it is a matter of rounds
        await asyncio.sleep(0)
    for item in (1, 2):
        tasks.append(asyncio.create_task(gathering.add("a", item, recorded.double)))
        await asyncio.sleep(0)

    recorded.open.set()

    assert await asyncio.gather(*tasks) == [0, 2, 4]
    assert recorded.groups == [[0], [1, 2]]


async def test_kinds_and_groups_are_bounded() -> None:
    """Items of different kinds are apart, and so are more than the most."""
    gathering, recorded = Gathering[int, int](2), Recorded()
    added = [gathering.add(kind, each, recorded.double) for kind in "ab" for each in range(3)]

    assert await asyncio.gather(*added) == [0, 2, 4, 0, 2, 4]
    assert sorted(recorded.groups) == [[0, 1], [0, 1], [2], [2]]


@pytest.mark.parametrize("error", [RequestRefused("no"), AccountBusy("no")])
async def test_a_refused_item_does_not_take_others_along(error: Exception) -> None:
    """Each one is tried by itself."""
    gathering, recorded = Gathering[int, int](100), Recorded(1, error)
    added = [gathering.add("a", each, recorded.double) for each in range(3)]

    made = await asyncio.gather(*added, return_exceptions=True)

    assert made == [0, error, 4]
    assert recorded.groups == [[0, 1, 2], [0], [1], [2]]


@pytest.mark.parametrize("error", [Unavailable("away"), OSError("bug")])
async def test_items_that_may_have_been_accepted_are_not_handed_over_again(
    error: Exception,
) -> None:
    """All of them fail; later ones are handed over as ever."""
    gathering, recorded = Gathering[int, int](100), Recorded(1, error)
    added = [gathering.add("a", each, recorded.double) for each in range(2)]

    made = await asyncio.gather(*added, return_exceptions=True)

    assert made == [error, error]
    assert await gathering.add("a", 3, recorded.double) == 6
    assert recorded.groups == [[0, 1], [3]]


async def test_a_task_that_is_cancelled_takes_no_other_along() -> None:
    """Its item is handed over all the same."""
    gathering, recorded = Gathering[int, int](100), Recorded()
    tasks = [asyncio.create_task(gathering.add("a", each, recorded.double)) for each in range(3)]
    await asyncio.sleep(0)
    tasks[0].cancel()

    made = await asyncio.gather(*tasks, return_exceptions=True)

    assert isinstance(made[0], asyncio.CancelledError)
    assert made[1:] == [2, 4]
    assert recorded.groups == [[0, 1, 2]]
