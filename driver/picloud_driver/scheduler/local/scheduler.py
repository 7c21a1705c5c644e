"""Slots as processes of this machine: the adapter of the embedded stack."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import sys
from functools import partial
from secrets import token_hex
from typing import TYPE_CHECKING, ClassVar, Final

from picloud_model.core import CORE_TYPES
from picloud_model.errors import RequestRefused, SlotRefused, Unavailable

from picloud_driver import disk
from picloud_driver.process import Process, ProcessSpec, describe_status, slot_environment, spawn
from picloud_driver.scheduler.local.proof import Proofs
from picloud_driver.scheduler.local.records import SlotRecord, SlotRecords
from picloud_driver.scheduler.port import (
    THREADS,
    Burst,
    Placement,
    SchedulerPort,
    SlotEnd,
    SlotPresence,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from picloud_driver.scheduler.port import Pool

GRACE_S: Final = 2.0
"""How long a slot may take to end after SIGTERM."""
_KILL_S: Final = 10.0
_BURST: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")


class _SlotProcess:
    """The process of a slot that was running when last checked."""

    __slots__ = ("ended", "placement", "process", "stopping")

    def __init__(self, placement: Placement, process: Process) -> None:
        self.placement = placement
        self.process = process
        self.ended = asyncio.Event()
        self.stopping = False


class LocalScheduler(SchedulerPort):
    """Runs slots as processes of the server's own user; nothing isolates them from each other.

    A slot is recorded before it gets its proof, so a server that was killed at any moment finds
    every slot that has one. One server process at a time uses a root.

    Args:
        root: The directory of records, work directories and logs; made if missing.
        api_url: The URL of the API.
        python: The interpreter of slots.
        signing_key: At least 32 bytes that sign proofs, the same after a restart.
        slots: How many slots of one core may run at once.
        command: Program and arguments of a slot, instead of `python -P -m picloud_worker`.
        environment: The server's environment; slots get only its PATH, LANG and TZ.
        interpreter: Returns the interpreter of slots in an image; without it there are no images.

    Raises:
        Unavailable: When the directory cannot be used.
    """

    adapter: ClassVar[str] = "local"
    isolates = False
    shares_files = True

    def __init__(
        self,
        root: Path,
        api_url: str,
        *,
        signing_key: bytes,
        slots: int,
        python: str = sys.executable,
        command: Sequence[str] | None = None,
        environment: Mapping[str, str] | None = None,
        interpreter: Callable[[str], str] | None = None,
    ) -> None:
        self._root = root
        self._url = api_url
        self._slots = slots
        self._python = python
        self._command = tuple(command or _worker(python))
        self._interpreter = interpreter
        self._environment = slot_environment(environment or {})
        self._proofs = Proofs(signing_key)
        with disk.faults(root):
            self._records = SlotRecords(root)
        self._living: dict[str, _SlotProcess] = {}
        self._known: set[str] = set()
        self._ends: list[SlotEnd] = []
        self._returned: list[str] = []
        self._changed = asyncio.Event()

    def __repr__(self) -> str:
        return f"LocalScheduler({str(self._root)!r})"

    async def start(self, burst: Burst) -> None:
        """See `SchedulerPort.start`; a repeated request completes a burst that failed half-way."""
        _check(burst)
        command = self._command_of(burst.pool)
        while True:
            with disk.faults(self._root):
                if not self._records.take(burst.name, burst.count):
                    return
                place = f"{burst.name}-{token_hex(4)}"
                try:
                    self._launch(Placement(burst.name, place, burst.pool), command)
                except (OSError, Unavailable):
                    self._records.give_back(burst.name)
                    self._records.clean([place])
                    raise
            # Each takes about 2 ms, mostly for the fork: let other tasks run in between.
            await asyncio.sleep(0)

    async def prefetch(self, image: str, instead_of: str) -> None:
        """See `SchedulerPort.prefetch`: images are on this machine."""

    async def stop(self, burst: str) -> None:
        """See `SchedulerPort.stop`; slots get SIGTERM, and are killed after 2 s."""
        self._find_slots()
        mine = [place for place in self._living.values() if place.placement.burst == burst]
        if not mine:
            return
        with disk.faults(self._root):
            self._records.stop(burst)
        for place in mine:
            place.stopping = True
            place.process.terminate()
        if await _all_ended(mine, GRACE_S):
            return
        for place in mine:
            if not place.ended.is_set():
                place.process.destroy()
        if not await _all_ended(mine, _KILL_S):
            raise Unavailable(f"Slots of {burst} do not end though killed; is a disk hanging?")

    async def verify(self, proof: str) -> Placement:
        """See `SchedulerPort.verify`."""
        placement = self._proofs.read(proof)
        if placement.place not in self._living:
            self._find_slots()
        place = self._living.get(placement.place)
        if place is None or place.placement != placement or not place.process.alive():
            raise SlotRefused
        return placement

    async def slots(self) -> Sequence[SlotPresence]:
        """See `SchedulerPort.slots`; a slot is never pending."""
        self._find_slots()
        return [
            SlotPresence(place.placement.burst, name, running=True)
            for name, place in sorted(self._living.items())
            if place.process.alive()
        ]

    async def ended(self, timeout_s: float) -> Sequence[SlotEnd]:
        """See `SchedulerPort.ended`.

        The records of returned ends are removed by the next call: a server that is killed between
        the two calls gets these ends again.
        """
        await self._forget_returned()
        self._find_slots()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not self._ends:
                    self._changed.clear()
                    await self._changed.wait()
        ends, self._ends = self._ends, []
        self._returned += [end.place for end in ends]
        return ends

    async def capacity(self, core_type: str) -> int:
        """See `SchedulerPort.capacity`; core types differ only in name, as nothing is limited."""
        return self._slots if core_type in CORE_TYPES else 0

    def page_of(self, place: str) -> str:
        """See `SchedulerPort.page_of`; processes have none."""
        del place
        return ""

    async def pending_reason(self, pool: Pool) -> str:
        """See `SchedulerPort.pending_reason`."""
        if pool.core_type not in CORE_TYPES:
            return _unknown(pool.core_type)
        try:
            self._command_of(pool)
        except (RequestRefused, Unavailable) as error:
            return error.message
        self._find_slots()
        taken = sum(place.process.alive() for place in self._living.values())
        if taken < self._slots:
            return ""
        return f"All {self._slots} slots of this machine are taken."

    async def ping(self) -> None:
        """See `SchedulerPort.ping`."""
        with disk.faults(self._root):
            self._records.places()
        if shutil.which(self._command[0], path=self._environment["PATH"]) is None:
            raise Unavailable(f"{self._command[0]}, which slots run, is gone; install it again.")

    async def close(self) -> None:
        """See `SchedulerPort.close`."""
        for place in self._living.values():
            place.process.close()
        self._living.clear()

    def _command_of(self, pool: Pool) -> tuple[str, ...]:
        """Return the program and first arguments of the slots of a pool.

        Raises:
            RequestRefused: When slots have no images here.
            Unavailable: When the image is not on this machine.
        """
        if not pool.image:
            return self._command
        if self._interpreter is None:
            message = "This server runs jobs in its own Python only; leave out the environment."
            raise RequestRefused(message, field="image")
        # Shells are served by the server's own installation: an image has no SSH server.
        return (*_worker(self._interpreter(pool.image)), "--shell-python", self._python)

    def _launch(self, placement: Placement, slot: tuple[str, ...]) -> None:
        place = placement.place
        directory = self._records.make_directory(place)
        command = ProcessSpec(
            arguments=(*slot, "--url", self._url, "--place", place),
            directory=directory,
            environment={
                **self._environment,
                "HOME": str(directory),
                THREADS: str(placement.pool.cores),
            },
            log=self._records.log(place),
        )
        with disk.faults(slot[0]):
            pid, pipe = spawn(command)
        # A slot ends if the pipe is closed without a proof, whatever fails here or kills us.
        try:
            self._hand_over(placement, pid, pipe)
        finally:
            os.close(pipe)

    def _hand_over(self, placement: Placement, pid: int, pipe: int) -> None:
        process = Process.find(pid)
        if process is None:
            raise ProcessLookupError(f"process {pid} ended before it could be watched")
        try:
            self._records.write(SlotRecord(placement, pid, process.birth))
        except OSError:
            process.destroy()
            process.watch(asyncio.get_running_loop(), partial(_reap, process))
            raise
        self._watch(_SlotProcess(placement, process))
        # The watch of a slot that has died meanwhile reports it.
        with contextlib.suppress(BrokenPipeError):
            os.write(pipe, self._proofs.make(placement).encode())

    def _find_slots(self) -> None:
        """Watch the slots that other server processes have started, and report their ends."""
        with disk.faults(self._root):
            for name in self._records.places():
                record = None if name in self._known else self._records.read(name)
                if record is None:
                    continue
                process = Process.find(record.pid, record.birth)
                if process is not None:
                    self._watch(_SlotProcess(record.placement, process))
                else:
                    self._known.add(name)
                    why = "it ended while no server ran"
                    self._report(record.placement, clean=False, why=why, from_outside=False)

    def _watch(self, place: _SlotProcess) -> None:
        name = place.placement.place
        self._known.add(name)
        self._living[name] = place
        place.process.watch(asyncio.get_running_loop(), partial(self._over, place))

    def _over(self, place: _SlotProcess) -> None:
        del self._living[place.placement.place]
        # Before it is reaped: until then no other process can get its pid.
        place.process.destroy()
        status = place.process.status()
        place.process.close()
        why = ("stopped by the server, " if place.stopping else "") + describe_status(status)
        self._report(place.placement, clean=status == 0, why=why, from_outside=place.stopping)
        place.ended.set()

    def _report(self, placement: Placement, *, clean: bool, why: str, from_outside: bool) -> None:
        tail = "" if clean else self._records.tail(placement.place)
        detail = "" if clean else f"{why}; its log ends:\n{tail}" if tail else why
        end = SlotEnd(
            burst=placement.burst,
            place=placement.place,
            clean=clean,
            detail=detail,
            ended_from_outside=from_outside,
        )
        self._ends.append(end)
        self._changed.set()

    async def _forget_returned(self) -> None:
        places, self._returned = self._returned, []
        if places:
            with disk.faults(self._root):
                self._records.forget(places)
            self._known.difference_update(places)
            # In a thread, as jobs may have left any number of files.
            await asyncio.to_thread(self._records.clean, places)


def _check(burst: Burst) -> None:
    if _BURST.fullmatch(burst.name) is None:
        message = f"{burst.name[:60]!r} cannot name a burst; use letters, digits, '-' and '_'."
        raise RequestRefused(message, field="name")
    if burst.pool.core_type not in CORE_TYPES:
        raise RequestRefused(_unknown(burst.pool.core_type), field="core_type")


def _worker(python: str) -> tuple[str, ...]:
    # -P: the supervisor must not import what a job writes to the work directory.
    return (python, "-P", "-m", "picloud_worker")


def _unknown(core_type: str) -> str:
    offered = ", ".join(CORE_TYPES)
    return f"No core type {core_type!r} is offered here; choose of {offered}."


def _reap(process: Process) -> None:
    process.status()
    process.close()


async def _all_ended(places: Sequence[_SlotProcess], timeout_s: float) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            for place in places:
                await place.ended.wait()
    return all(place.ended.is_set() for place in places)
