"""The HashiCorp stack on one machine: Consul, Vault, S3 and Nomad, all together."""

from __future__ import annotations

import contextlib
import shlex
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec
from picloud_jobspecs.render import Driver
from picloud_model.errors import PiCloudError

from picloud_driver import disk
from picloud_driver.stack import cage, leftovers, nomad, records
from picloud_driver.stack.addresses import Addresses, Containers
from picloud_driver.stack.cage import Cage, Open
from picloud_driver.stack.consul import Consul
from picloud_driver.stack.faults import Interrupted, StackFault
from picloud_driver.stack.nomad import Nomad
from picloud_driver.stack.s3 import S3
from picloud_driver.stack.vault import Vault
from picloud_driver.stack.wait import READY_S, Wait, end

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from picloud_driver.scheduler.local_process import Process
    from picloud_driver.stack.part import Part
    from picloud_driver.stack.records import Record

    AnyPart: TypeAlias = Part[Any]
    Progress: TypeAlias = Callable[[str, "Event"], None]

TOOLS: Final = "environment"
"""File in the directory `stack` that a shell can read, for the vendors' own commands."""


class Kind(StrEnum):
    """What became of a server."""

    GIVEN = "given"
    """It is not ours: the environment names it, and it can be used."""
    FOUND = "found"
    """It is ours and ran already."""
    STARTED = "started"
    """It is ours and was started."""
    STOPPED = "stopped"
    """It is ours and was ended."""


class Event(msgspec.Struct, frozen=True):
    """Something became of a server; `seconds` is how long that took."""

    kind: Kind
    address: str = ""
    seconds: float = 0.0


class Stack:
    """The servers of one data directory; those that the environment names are only used.

    Args:
        data: Where everything lies that the servers keep.
        environment: Addresses and tokens of servers that run elsewhere, and PATH.
        slots: How many slots Nomad is to run here at once.
        progress: Told the name of a server and what became of it, from any thread.
    """

    def __init__(
        self,
        data: Path,
        environment: Mapping[str, str],
        *,
        slots: int = 1,
        progress: Progress = lambda _name, _event: None,
    ) -> None:
        self._data = data
        self._environment = environment
        self._progress = progress
        self._nomad = Nomad(data, slots)
        self._s3 = S3(data)
        self._parts: Sequence[AnyPart] = (Consul(data), Vault(data), self._s3, self._nomad)
        self._cage: Cage | Open = Open("the stack was not started")
        self._given_up = threading.Event()
        self._ours: set[str] = set()
        self._started: set[str] = set()

    def start(self) -> Addresses:
        """Start what does not run yet, all at once, and wait until everything can be used.

        Whatever this has started ends again when something cannot be had.

        Raises:
            StackFault: When a server cannot be used or started; says why.
        """
        # First what can be wrong without a server being started.
        given = {part.name: self._given(part) for part in self._parts}
        self._ours = {name for name, way in given.items() if way is None}
        ran = {part.name for part in self._parts if part.record().lives()}
        self._started = self._ours - ran
        self._given_up.clear()
        theirs = [part for part in self._parts if part.name not in self._ours]
        ours = [part for part in self._parts if part.name in self._ours]
        try:
            ways = self._ways(theirs, given)
            self._reserve(ours)
            slots = self._caged()
            addresses = Addresses(**ways, **self._ways(ours, given), slots=slots)
            self._write_tools(addresses)
        except BaseException:
            self._given_up.set()
            self.undo()
            raise
        return addresses

    @property
    def open_as(self) -> str:
        """Why slots are not isolated, as the end of a sentence; "" when they are."""
        return self._cage.why if isinstance(self._cage, Open) else ""

    @property
    def room(self) -> int | None:
        """How many slots Nomad runs here at once; None where it is not ours."""
        return self._nomad.room

    @property
    def short(self) -> str:
        """Why these are fewer than asked for, as the end of a sentence; "" when they are not."""
        return self._nomad.short

    @property
    def leaks(self) -> str:
        """Why isolated slots reach more ports of this machine than they need; "" when not."""
        return self._cage.leaks if isinstance(self._cage, Cage) else ""

    def close(self, url: str) -> None:
        """Let isolated slots reach the API, at the port of its URL, and S3.

        Raises:
            StackFault: When the firewall cannot be set up.
        """
        if isinstance(self._cage, Cage):
            api = [int(url.rpartition(":")[2])] if url else []
            try:
                self._cage.close([self._s3.record().ports["http"], *api])
            except PiCloudError as error:
                raise StackFault(error.message) from error

    def undo(self) -> None:
        """End what the last start has started; what ran before goes on."""
        self._end([part for part in self._parts if part.name in self._started])

    def running(self) -> list[str]:
        """Names of our servers that run, as far as that can be told."""
        found = []
        for part in self._parts:
            with contextlib.suppress(StackFault):
                found += [part.name] if part.record().lives() else []
        return found

    def ended(self) -> list[str]:
        """Names of our servers that have ended by themselves since the start."""
        parts = (part for part in self._parts if part.name in self._ours)
        return [part.name for part in parts if not part.record().lives()]

    def stop(self, url: str = "") -> None:
        """End slots, then the servers that are ours.

        Args:
            url: Of the API whose slots are to end where Nomad is not ours; "" leaves them.

        Raises:
            StackFault: When something does not end, or what is remembered cannot be read; what
                could be ended was.
        """
        faults = []
        try:
            self._end_slots(url)
        except (StackFault, PiCloudError) as fault:
            faults.append(fault.message)
        faults += self._end(self._parts)
        leftovers.remove(self._nomad.directory)
        if self._isolated.exists():
            cage.remove(self._data, self._isolated.read_text())
            self._isolated.unlink()
        if faults:
            raise StackFault(" ".join(dict.fromkeys(faults)))

    # --- starting ---

    @property
    def _isolated(self) -> Path:
        """A file that is there while slots are isolated; it says by whose dockerd."""
        return self._data / "stack" / "isolated"

    def _caged(self) -> Containers | None:
        """Where slots are to run: decided when neither S3 nor Nomad runs, who have part in it."""
        parts: Sequence[AnyPart] = (self._s3, self._nomad)
        if any(part.name not in self._ours for part in parts):
            self._cage = Open("Nomad or S3 is not PiCloud's own")
            return None
        running = any(part.record().lives() for part in parts)
        if running and not self._isolated.exists():
            self._cage = Open("the stack was started so: picloud down, then up, decides anew")
            return None
        host = self._isolated.read_text() if running else cage.host(self._environment)
        self._cage = cage.find(self._data, host)
        if isinstance(self._cage, Open):
            if running:
                raise StackFault(f"Slots were isolated, but cannot be any more: {self._cage.why}.")
            self._isolated.unlink(missing_ok=True)
            self._nomad.cage, self._s3.beside = None, ""
            return None
        with records.told(self._isolated):
            disk.private_directory(self._isolated.parent)
            self._isolated.write_text(host)
        network = self._cage.network
        self._nomad.cage, self._s3.beside = self._cage, network.gateway
        if not running:
            # The API's port follows when it is known; until then, it is closed.
            self.close("")
        return Containers(self._cage.image, network.name, network.gateway)

    def _reserve(self, parts: Sequence[AnyPart]) -> None:
        """Give each its ports, one after the other, so that no two get the same."""
        for part in parts:
            others = (other.record().ports.values() for other in parts if other is not part)
            part.reserve({port for ports in others for port in ports})

    def _ways(self, parts: Sequence[AnyPart], given: Mapping[str, Any]) -> dict[str, Any]:
        """How each of some servers is reached, once it can be used."""
        deadline = time.monotonic() + READY_S
        with ThreadPoolExecutor(len(self._parts), "stack") as threads:
            waiting = {
                part.name: threads.submit(self._reach, part, given[part.name], deadline)
                for part in parts
            }
            try:
                for one in waiting.values():
                    # Whoever fails lets the others give up, so that none is waited for in vain.
                    one.exception()
            except BaseException:
                self._given_up.set()
                raise
        faults = [one.exception() for one in waiting.values()]
        told = [fault for fault in faults if fault and not isinstance(fault, Interrupted)]
        for fault in told or [fault for fault in faults if fault]:
            raise fault
        return {name: one.result() for name, one in waiting.items()}

    def _reach(self, part: AnyPart, given: Any, deadline: float) -> Any:
        try:
            began = time.monotonic()
            kind, way = self._reached(part, given, deadline)
            self._progress(part.name, Event(kind, way.address, time.monotonic() - began))
        except PiCloudError as error:
            self._given_up.set()
            raise StackFault(error.message) from error
        except BaseException:
            self._given_up.set()
            raise
        return way

    def _reached(self, part: AnyPart, given: Any, deadline: float) -> tuple[Kind, Any]:
        if given is not None:
            return Kind.GIVEN, part.adopt(given)
        record = part.record()
        if process := record.process():
            try:
                return Kind.FOUND, self._settled(part, record, process, deadline)
            except StackFault:
                if record.lives():
                    raise
        # It does not run, or was just about to end when it was found.
        self._started.add(part.name)
        record = part.start(self._environment)
        process = record.process()
        if process is None:
            raise StackFault(f"{part.name} ended as soon as it was started.", part.tail())
        return Kind.STARTED, self._settled(part, record, process, deadline)

    def _settled(self, part: AnyPart, record: Record, process: Process, deadline: float) -> Any:
        """How a server of ours is reached, once it can be used."""
        with contextlib.closing(process):
            wait = Wait(part, process, deadline, self._given_up)
            way = part.settle(part.way(record.ports), wait)
        part.keep()
        return way

    def _given(self, part: AnyPart) -> Any:
        try:
            given = part.given(self._environment)
        except PiCloudError as error:
            raise StackFault(error.message) from error
        # Our own are named by the environment of whoever has read our file for tools.
        ours = part.record().ports.get(part.port_names[0])
        return None if given and given.address == f"http://127.0.0.1:{ours}" else given

    def _write_tools(self, addresses: Addresses) -> None:
        """For `. FILE` in a shell: then nomad, consul, vault and aws speak to servers of ours."""
        file = self._data / "stack" / TOOLS
        named = addresses.environment(self._ours)
        lines = [f"export {name}={shlex.quote(value)}\n" for name, value in sorted(named.items())]
        with records.told(file):
            disk.private_directory(file.parent)
            disk.replace(file, "".join(lines).encode(), sync=False)

    # --- ending ---

    def _end_slots(self, url: str) -> None:
        given = self._given(self._nomad)
        if given is not None and url:
            nomad.end_slots(given, url)
        record = self._nomad.record()
        if record.lives():
            way = self._nomad.way(record.ports)
            nomad.end_slots(way)
            nomad.clear(way, self._nomad.directory)

    def _end(self, parts: Sequence[AnyPart]) -> list[str]:
        """End servers, all at once; what went wrong."""
        with ThreadPoolExecutor(len(self._parts), "stack") as threads:
            ends = [threads.submit(self._ended, part) for part in parts]
        faults = [one.exception() for one in ends]
        for fault in faults:
            if fault and not isinstance(fault, StackFault):
                raise fault
        return [str(fault) for fault in faults if fault]

    def _ended(self, part: AnyPart) -> None:
        began = time.monotonic()
        process = part.record().process()
        if process is None:
            return
        with contextlib.closing(process):
            end(process)
        part.forget()
        self._progress(part.name, Event(Kind.STOPPED, seconds=time.monotonic() - began))


def check(addresses: Addresses) -> None:
    """Return when every server of a stack can be used.

    Raises:
        PiCloudError: When one cannot; one sentence says why.
    """
    Consul.check(addresses.consul)
    Vault.check(addresses.vault)
    S3.check(addresses.s3)
    Nomad.check(addresses.nomad, Driver.DOCKER if addresses.slots else Driver.RAW_EXEC)
