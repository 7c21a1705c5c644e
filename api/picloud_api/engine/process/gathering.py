"""Gathering: what tasks ask for in the same round of the event loop is done together, once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from picloud_model.errors import AccountBusy, PiCloudError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Sequence

Item = TypeVar("Item")
Made = TypeVar("Made")


class Gathering(Generic[Item, Made]):
    """Gathers items of the same kind, and hands them over together.

    An item waits for the next round of the event loop, in which the tasks that can go on have added
    theirs, and for those of its kind that were handed over before: no timer runs.

    Args:
        most: The most items that are handed over together.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: dict[Hashable, list[_Member[Item, Made]]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    async def add(
        self,
        kind: Hashable,
        item: Item,
        act: Callable[[Sequence[Item]], Awaitable[Sequence[Made]]],
    ) -> Made:
        """Add an item; return what was made of it.

        Args:
            kind: Items of different kinds are never handed over together.
            item: The item.
            act: Takes items of this kind and returns what it made of each. If it refuses several
                of them, it is called again for each one.

        Raises:
            PiCloudError: What `act` raised for this item alone.
        """
        member: _Member[Item, Made] = _Member(item)
        waiting = self._waiting.get(kind)
        if waiting is None:
            self._waiting[kind] = [member]
            task = asyncio.create_task(self._hand_over(kind, act))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            waiting.append(member)
        return await member.future

    async def _hand_over(
        self, kind: Hashable, act: Callable[[Sequence[Item]], Awaitable[Sequence[Made]]]
    ) -> None:
        """Hand over items of a kind until none is waiting."""
        while waiting := self._waiting[kind]:
            members = waiting[: self._most]
            del waiting[: self._most]
            await _act(members, act)
        del self._waiting[kind]


class _Member(Generic[Item, Made]):
    """An item, and the task that waits for what is made of it."""

    def __init__(self, item: Item) -> None:
        self.item = item
        self.future: asyncio.Future[Made] = asyncio.get_running_loop().create_future()


def _has_done_nothing(error: BaseException) -> bool:
    """Whether the items were refused; if a service was away, they may have been accepted."""
    if isinstance(error, AccountBusy):
        return True
    return isinstance(error, PiCloudError) and not isinstance(error, Unavailable)


async def _act(
    members: Sequence[_Member[Item, Made]],
    act: Callable[[Sequence[Item]], Awaitable[Sequence[Made]]],
) -> None:
    try:
        made = await act([member.item for member in members])
    except BaseException as error:
        if len(members) > 1 and _has_done_nothing(error):
            for member in members:
                await _act([member], act)
            return
        for member in members:
            if not member.future.done():
                member.future.set_exception(error)
        if not isinstance(error, Exception):
            raise
        return
    for member, each in zip(members, made, strict=True):
        if not member.future.done():
            member.future.set_result(each)
