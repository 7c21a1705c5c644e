"""Group commit: all changes that wait at the same time become one transaction."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from picloud_driver.state import Conflict, Delete, Put
from picloud_model.crashpoints import crashpoint
from picloud_model.errors import TooLarge, Unavailable

from picloud_api.store import layout
from picloud_api.store.draft import Draft
from picloud_api.store.records import ChangeLog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from picloud_driver.state import Operation

    from picloud_api.store.records import Event
    from picloud_api.store.view import View

Answer = TypeVar("Answer")

CHANGE_LOG_EVENTS: Final = 128
"""Changes in a change log, 45 bytes each in every transaction; one that misses more resyncs."""
MAX_CONFLICTS: Final = 50
"""Conflicts in a row after which a change fails, and nothing of it is committed."""


class Commit(Protocol):
    """Plans a change and commits it, as `Commits.run` does."""

    def __call__(self, plan: Callable[[Draft], Awaitable[Answer]], /) -> Awaitable[Answer]:
        """Return what `plan` returned, once its draft is committed."""


class Commits:
    """Runs changes: plans them over the view, commits them together, calls the listeners.

    A change returns after the transaction that holds it is committed. `transactions` counts these,
    for the tests of how many a request takes.
    """

    def __init__(self, view: View, process: str) -> None:
        self.view = view
        self.transactions = 0
        self._state = view.state
        self.process = process
        self.alone = True
        """Whether no other process is known that would read the change log of this one."""
        self._log = ChangeLog(0, [])
        self.published = 0
        """The version of the change log when it was last written."""
        self.contended = False
        """Whether other changes had to wait for the last transaction."""
        self._waiting: list[_Waiting] = []
        self._running = False
        self._task: asyncio.Task[None] | None = None
        self._listeners: list[Callable[[Event], None]] = []

    def listen(self, listener: Callable[[Event], None]) -> None:
        """Call `listener` with every event of this process after its commit."""
        self._listeners.append(listener)

    async def run(
        self, plan: Callable[[Draft], Awaitable[Answer]], *, soon: bool = False
    ) -> Answer:
        """Plan a change and commit it.

        Args:
            plan: Reads and writes a draft and returns the answer. It may be called again with a
                fresh draft after a conflict, so it must change nothing but the draft.
            soon: Whether to wait for the next round of the event loop, so that the changes which
                other tasks make in this one share the transaction.

        Returns:
            What `plan` returned, once its draft is committed.

        Raises:
            PiCloudError: What `plan` raised; then nothing of it is committed.
            Unavailable: When the state store does not answer.
        """
        waiting = _Waiting(plan)
        self._waiting.append(waiting)
        if not self._running:
            self._running = True
            if soon or self._state.shared:
                # A task of its own: a cancelled caller must not cancel the commit of the others.
                self._task = asyncio.create_task(self._rounds())
            else:
                # The store answers without suspending: a task switch would cost more.
                await self._rounds()
        answer: Answer = await waiting.answer()
        return answer

    async def _rounds(self) -> None:
        try:
            while self._waiting:
                await self._round()
                self.contended = bool(self._waiting)
                if self._state.shared:
                    # Changes that callers make as soon as theirs is committed share the next
                    # transaction; otherwise they would wait for its end, some milliseconds.
                    await asyncio.sleep(0)
        finally:
            self._running = False

    async def _round(self) -> None:
        group, self._waiting = self._waiting, []
        conflicts = 0
        while group:
            draft = await self._plan(group)
            try:
                await self._commit(draft, group)
            except TooLarge as error:
                if len(group) == 1:
                    group[0].fail(error)
                    return
                half = len(group) // 2
                self._waiting[:0] = group[half:]
                group = group[:half]
            except Conflict as conflict:
                try:
                    # It names one key at least; any other old one would lead to the next conflict.
                    await self.view.reload([*{*conflict.keys, *draft.expected()}])
                except Exception as error:  # noqa: BLE001 - as below: they would wait forever
                    _fail(group, error)
                    return
                conflicts += 1
                if conflicts == MAX_CONFLICTS:
                    _fail(group, Unavailable("The state store is too busy; try again."))
                    return
            except Exception as error:  # noqa: BLE001 - each waiting caller gets it
                _fail(group, error)
                return
            else:
                return

    async def _plan(self, group: list[_Waiting]) -> Draft:
        whole = Draft(self.view)
        for waiting in group:
            # A change that is alone needs no draft of its own: if it fails, there is no other.
            draft = whole if len(group) == 1 else Draft(self.view, whole)
            try:
                waiting.planned = await waiting.plan(draft)
            except Exception as error:  # noqa: BLE001 - it goes to the caller of this change
                waiting.fail(error)
                if draft is whole:
                    whole = Draft(self.view)
            else:
                if draft is not whole:
                    whole.adopt(draft)
        group[:] = [waiting for waiting in group if not waiting.failed]
        return whole

    async def _commit(self, draft: Draft, group: list[_Waiting]) -> None:
        operations = draft.operations()
        if operations:
            log = self._logged(draft.events)
            versions = await self._send([*operations, *log])
            draft.install(versions)
        for act in draft.afterwards:
            act()
        for waiting in group:
            waiting.succeed()
        for event in draft.events:
            for listener in self._listeners:
                listener(event)

    async def _send(self, operations: Sequence[Operation]) -> dict[str, int]:
        if len(operations) > self._state.max_operations:
            raise TooLarge
        self.transactions += 1
        crashpoint("commit.sending")
        versions = await self._state.commit(operations)
        self.published = versions.get(layout.change_log(self.process), self.published)
        crashpoint("commit.sent")
        return versions

    def _logged(self, events: list[Event]) -> list[Operation]:
        if not events or not self._state.shared:
            return []
        kept = [*self._log.events, *events][-CHANGE_LOG_EVENTS:]
        self._log = ChangeLog(self._log.count + len(events), kept, self._log.at)
        # No process reads the log of one that is alone; the count goes on for one that starts.
        return [] if self.alone else [self._put_log()]

    def _put_log(self) -> Put:
        return Put(layout.change_log(self.process), layout.encode(self._log))

    async def publish(self, now: float) -> None:
        """Write the change log though nothing changed, so that other processes know of this one."""
        self._log = ChangeLog(self._log.count, self._log.events, now)
        versions = await self._state.commit([self._put_log()])
        self.published = versions[layout.change_log(self.process)]

    async def remove(self, keys: Sequence[str]) -> None:
        """Remove keys that are no longer used."""
        if keys:
            await self._state.commit([Delete(key) for key in keys])
            self.view.forget(keys)


class CommitGroup:
    """Tasks whose changes share a transaction: it begins when each of them has its change.

    Args:
        commits: Commits the changes.
        tasks: How many tasks there are.
        patience_s: How long a change waits for those of the other tasks.
    """

    def __init__(self, commits: Commits, tasks: int, *, patience_s: float = 1.0) -> None:
        self._commits = commits
        self._patience_s = patience_s
        self._missing = tasks
        self._complete = asyncio.Event()

    @contextmanager
    def member(self) -> Iterator[Commit]:
        """Return what commits the change of one task, in place of `Commits.run`.

        The others do not wait for a task that has left its `with` block, or that is slow.
        """
        has_arrived = False

        async def run(plan: Callable[[Draft], Awaitable[Answer]]) -> Answer:
            nonlocal has_arrived
            if not has_arrived:
                has_arrived = True
                self._arrive()
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._patience_s):
                        await self._complete.wait()
            return await self._commits.run(plan, soon=True)

        try:
            yield run
        finally:
            if not has_arrived:
                self._arrive()

    def _arrive(self) -> None:
        self._missing -= 1
        if not self._missing:
            self._complete.set()


class _Waiting:
    """A change that a caller waits for."""

    def __init__(self, plan: Callable[[Draft], Awaitable[Any]]) -> None:
        self.plan = plan
        self.planned: Any = None
        self.failed = False
        self._done = False
        self._error: BaseException | None = None
        self._future: asyncio.Future[None] | None = None

    def succeed(self) -> None:
        self._finish()

    def fail(self, error: BaseException) -> None:
        self.failed, self._error = True, error
        self._finish()

    def _finish(self) -> None:
        self._done = True
        if self._future is not None and not self._future.done():
            self._future.set_result(None)

    async def answer(self) -> Any:
        # Most changes are done before their caller awaits them: those need no future.
        if not self._done:
            self._future = asyncio.get_running_loop().create_future()
            await self._future
        if self._error is not None:
            raise self._error
        return self.planned


def _fail(group: list[_Waiting], error: Exception) -> None:
    for waiting in group:
        waiting.fail(error)
