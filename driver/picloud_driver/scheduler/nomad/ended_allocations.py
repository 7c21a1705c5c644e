"""The ended allocations of a Nomad cluster.

Nomad reports them by its event stream, which may lose events: it keeps the last hundred, in the
memory of one server. So events are hints. All allocations are listed when the stream is opened
again, and every 10 s.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, TypeVar

from picloud_jobspecs.render import BURST_PREFIX, TASK
from picloud_model.errors import PiCloudError, ServerFault

from picloud_driver.nomad.answers import ENDED, Allocation, NomadJob
from picloud_driver.scheduler.port import SlotEnd

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from picloud_driver.nomad.gateway import NomadGateway
    from picloud_driver.nomad.stream import EventStream

_T = TypeVar("_T")

RESYNC_S: Final = 10.0
"""How often all allocations are listed, independently of events."""
RETRY_S: Final = 0.5
"""How long to wait before a failed request to Nomad is repeated."""
FORGET_S: Final = 600.0
"""How long Nomad keeps a burst whose slots have all ended."""
_AT_ONCE: Final = 500
"""How many bursts are purged in a row."""
_TAIL_BYTES: Final = 2048
_TAIL_S: Final = 1.0
"""How long the report of an end waits for the slot's log."""
_LAST_LINES_S: Final = 3.0
"""How long it waits for the first line in the log of a slot that exited by itself."""
_FLUSH_S: Final = 0.1
"""How often Nomad's log collector writes to its file, so some lines come after the end."""
_BY_SIGNAL: Final = 128
"""Exit statuses above this one stand for signals."""
_JOIN_S: Final = 5.0
_NOT_STARTED: Final = "Driver Failure"


class EndedAllocations:
    """Finds ended places and reports each once.

    Args:
        gateway: The gateway to Nomad.
        threads: The threads that call it.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        gateway: NomadGateway,
        threads: ThreadPoolExecutor,
        clock: Callable[[], float],
    ) -> None:
        self._gateway = gateway
        self._threads = threads
        self._clock = clock
        # Separate threads, so that a machine that hangs does not block the other requests.
        self._tails = ThreadPoolExecutor(2, "nomad-tail")
        self._ends: list[SlotEnd] = []
        self._fault: PiCloudError | None = None
        self._changed = asyncio.Event()
        self._reported: set[str] = set()
        self._dead_since: dict[str, float] = {}
        self._starting = asyncio.Lock()
        self._follower: _Follower | None = None
        self._again = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def next(self, timeout_s: float) -> list[SlotEnd]:
        """Return the next ends, or [] after the timeout.

        Raises:
            Unavailable: When Nomad does not answer.
            NotAllowed: When it refuses the token.
        """
        async with self._starting:
            if self._follower is None:
                await self._start()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not self._ends and self._fault is None:
                    self._changed.clear()
                    await self._changed.wait()
        if not self._ends and self._fault is not None:
            raise self._fault
        ends, self._ends = self._ends, []
        return ends

    async def close(self) -> None:
        """Close the event stream and the threads."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._follower is not None:
            await asyncio.to_thread(self._follower.close)
        self._tails.shutdown(wait=False, cancel_futures=True)

    async def _start(self) -> None:
        index = await self.resync()
        self._follower = _Follower(
            self._gateway,
            index,
            on=asyncio.get_running_loop(),
            on_change=self._on_change,
            lost=self._fail,
        )
        self._follower.start()
        self._spawn(self._keep_resyncing())

    async def _keep_resyncing(self) -> None:
        while True:
            pause_s = RESYNC_S if self._fault is None else RETRY_S
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._again.wait()
            self._again.clear()
            try:
                await self.resync()
            except PiCloudError as error:
                self._fail(error)
            except Exception as error:  # noqa: BLE001 - the loop must not end
                self._fail(ServerFault(f"Nomad's answers are not understood: {error!r}"))
            else:
                self._fault = None

    async def resync(self) -> int:
        """List all allocations, report new ends, and return the index of the list."""
        before = frozenset(self._reported)
        jobs, ended, index = await self._ask(self._list)
        since = {job.id: job.create_index for job in jobs}
        for found in ended:
            if found.id in self._reported:
                continue
            # The ends of a purged burst were reported, and so were those of an older namesake.
            if since.get(found.job_id, found.create_index) >= found.create_index:
                self._reported.add(found.id)
            else:
                self._on_change([await self._ask(self._gateway.allocation, found.id)])
        self._reported -= before - {found.id for found in ended}
        if self._follower is not None:
            self._follower.index = index
        await self._purge_dead(jobs)
        return index

    def _list(self) -> tuple[list[NomadJob], list[Allocation], int]:
        jobs = self._gateway.jobs(BURST_PREFIX)
        return jobs, *self._gateway.allocations(BURST_PREFIX, ENDED)

    async def _purge_dead(self, jobs: Iterable[NomadJob]) -> None:
        """Purge dead bursts, as Nomad's own garbage collection of thousands at once is slow."""
        now = self._clock()
        dead = {job.id for job in jobs if job.status == "dead"}
        self._dead_since = {job: self._dead_since.get(job, now) for job in dead}
        old = [job for job, since in self._dead_since.items() if now - since >= FORGET_S]
        for job in old[:_AT_ONCE]:
            await self._ask(self._purge, job)

    def _purge(self, job: str) -> None:
        self._gateway.deregister(job, purge=True)

    def _on_change(self, allocations: Iterable[Allocation | None] | None) -> None:
        """Process changed allocations; None means that changes may have been lost."""
        if allocations is None:
            self._again.set()
            return
        for found in allocations:
            if found is None or not found.ended or found.id in self._reported:
                continue
            if found.job_id.startswith(BURST_PREFIX):
                self._reported.add(found.id)
                self._spawn(self._report(found))

    async def _report(self, found: Allocation) -> None:
        status, why = describe_end(found)
        if status is not None and status != 0:
            why += await self._last_lines(found.id, status)
        clean = status == 0
        from_outside = found.desired_status == "stop" or found.client_status == "lost"
        end = SlotEnd(
            burst=found.job_id,
            place=found.id,
            clean=clean,
            detail="" if clean else why,
            ended_from_outside=from_outside,
        )
        self._ends.append(end)
        self._changed.set()

    async def _last_lines(self, place: str, status: int) -> str:
        # A slot that exits by itself says why, and it may take the collector a while to write it.
        # One that ends by a signal has usually said nothing.
        exited = status <= _BY_SIGNAL
        tail, problem = "", "; its log could not be read in time"
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_LINES_S if exited else _TAIL_S):
                while True:
                    try:
                        tail, problem = await self._read_tail(place), ""
                    except PiCloudError as error:
                        problem = f"; its log could not be read: {error}"
                    if tail or not exited:
                        break
                    await asyncio.sleep(_FLUSH_S)
        return f"; its log ends:\n{tail}" if tail else problem

    async def _read_tail(self, place: str) -> str:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._tails, self._gateway.tail, place, TASK, _TAIL_BYTES)

    def _fail(self, fault: PiCloudError) -> None:
        self._fault = fault
        self._changed.set()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask(self, question: Callable[..., _T], *args: object) -> _T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, question, *args)


class _Follower:
    """A thread that follows the event stream and reopens it after every failure.

    All changes up to `index` have been processed.
    """

    def __init__(
        self,
        gateway: NomadGateway,
        index: int,
        *,
        on: asyncio.AbstractEventLoop,
        on_change: Callable[[list[Allocation] | None], None],
        lost: Callable[[PiCloudError], None],
    ) -> None:
        self._gateway = gateway
        self.index = index
        self._loop = on
        self._on_change = on_change
        self._lost = lost
        self._closed = threading.Event()
        self._stream: EventStream | None = None
        self._thread = threading.Thread(target=self._run, name="nomad-events", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closed.set()
        if self._stream is not None:
            self._stream.stop()
        self._thread.join(_JOIN_S)

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                self._follow()
            except PiCloudError as error:
                self._call(self._lost, error)
            except Exception as error:  # noqa: BLE001 - the thread must not end
                self._call(self._lost, ServerFault(f"Nomad's events are not understood: {error!r}"))
            self._closed.wait(RETRY_S)

    def _follow(self) -> None:
        with self._gateway.events(self.index) as self._stream:
            self._call(self._on_change, None)
            if self._closed.is_set():
                return
            for index, allocations in self._stream:
                # A server that has just started sends all that it reads in its log, however old.
                if index > self.index:
                    self.index = index
                    self._call(self._on_change, allocations)

    def _call(self, callback: Callable[[Any], None], argument: object) -> None:
        # Ignore callbacks after the event loop has closed.
        with contextlib.suppress(RuntimeError):
            if not self._closed.is_set():
                self._loop.call_soon_threadsafe(callback, argument)


def describe_end(found: Allocation) -> tuple[int | None, str]:
    """Return the exit status of an allocation, if it has one, and how it ended in words."""
    if found.client_status == "lost":
        return None, f"node lost: Nomad has lost machine {found.node_name}"
    events = [event for state in (found.task_states or {}).values() for event in state.events or ()]
    for event in reversed(events):
        if event.type == "Terminated":
            stopped = "stopped by the server, " if found.desired_status == "stop" else ""
            return event.exit_code, stopped + _describe_status(event.exit_code, event.signal)
    last = events[-1].display_message if events else found.client_description
    return None, f"it never ran: {failure_of(found) or last}"


def failure_of(found: Allocation) -> str:
    """Return why the driver could not start an allocation, such as a missing image; else ""."""
    states = (found.task_states or {}).values()
    events = [event for state in states for event in state.events or ()]
    return next((each.display_message for each in events if each.type == _NOT_STARTED), "")


def _describe_status(status: int, number: int) -> str:
    if number:
        return f"signal {number} ({signal.strsignal(number)})"
    return f"exit status {status}"
