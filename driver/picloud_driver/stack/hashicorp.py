"""The HashiCorp stack on one machine: Consul, Vault, S3, Nomad and NATS, all together."""

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
from picloud_driver.stack import isolation, leftovers, records
from picloud_driver.stack.addresses import Addresses, Containers
from picloud_driver.stack.bucket_mounts import BucketMounts
from picloud_driver.stack.faults import Interrupted, StackFault
from picloud_driver.stack.isolation import NotIsolated, SlotIsolation
from picloud_driver.stack.servers import nomad
from picloud_driver.stack.servers.consul import Consul
from picloud_driver.stack.servers.nats import Nats
from picloud_driver.stack.servers.nomad import Nomad
from picloud_driver.stack.servers.s3 import S3
from picloud_driver.stack.servers.startup import READY_S, StartupDeadline
from picloud_driver.stack.servers.vault import Vault
from picloud_driver.stack.termination import terminate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from picloud_driver.process import Process
    from picloud_driver.stack.records import ProcessRecord
    from picloud_driver.stack.servers.stack_server import StackServer

    AnyServer: TypeAlias = StackServer[Any]
    Progress: TypeAlias = Callable[[str, "StackEvent"], None]

TOOLS: Final = "environment"
"""A file in the directory `stack` that a shell can read, for the vendors' own commands."""


class StackEventKind(StrEnum):
    """What happened to a server."""

    GIVEN = "given"
    """It is external: the environment names it, and it can be used."""
    FOUND = "found"
    """It is PiCloud's own and was already running."""
    STARTED = "started"
    """It is PiCloud's own and was started."""
    STOPPED = "stopped"
    """It is PiCloud's own and was stopped."""


class StackEvent(msgspec.Struct, frozen=True):
    """Something happened to a server; it took `seconds`."""

    kind: StackEventKind
    address: str = ""
    seconds: float = 0.0


class Stack:
    """The servers of one data directory, and the external servers that the environment names.

    Args:
        data: Holds all files of the servers.
        environment: Addresses and tokens of external servers, and PATH.
        slots: How many slots Nomad should run here at once.
        progress: Called with the name of a server and what happened to it, from any thread.
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
        self._servers: Sequence[AnyServer] = (
            Consul(data),
            Vault(data),
            self._s3,
            self._nomad,
            Nats(data),
        )
        self._isolation: SlotIsolation | NotIsolated = NotIsolated("the stack was not started")
        self._mounts = BucketMounts(data / "stack", environment)
        self._given_up = threading.Event()
        self._ours: set[str] = set()
        self._started: set[str] = set()

    def start(self) -> Addresses:
        """Start all servers that are not running, at once, and wait until every server is ready.

        If one cannot be used, the servers that this call has started are stopped again.

        Raises:
            StackFault: When a server cannot be used or started; says why.
        """
        # First the checks that can fail before any server is started.
        external = {server.name: self._external(server) for server in self._servers}
        self._ours = {name for name, address in external.items() if address is None}
        running = {server.name for server in self._servers if server.record().is_running()}
        self._started = self._ours - running
        if outdated := self.renew_certificates():
            raise StackFault(
                f"{', '.join(outdated)} runs without a certificate that PiCloud accepts: picloud "
                "down, then up, restarts it with one."
            )
        self._given_up.clear()
        theirs = [server for server in self._servers if server.name not in self._ours]
        ours = [server for server in self._servers if server.name in self._ours]
        try:
            ready = self._all_ready(theirs, external)
            self._reserve_ports(ours)
            slots = self._isolate()
            ready |= self._all_ready(ours, external)
            addresses = Addresses(**ready, slots=slots)
            self._write_tools(addresses)
            if slots:
                self._mounts.start(self._nomad.directory / "data" / "alloc")
        except BaseException:
            self._given_up.set()
            self.undo()
            raise
        return addresses

    @property
    def not_isolated(self) -> str:
        """Why slots are not isolated, as the end of a sentence; "" if they are."""
        return self._isolation.why if isinstance(self._isolation, NotIsolated) else ""

    @property
    def capacity(self) -> int | None:
        """How many slots Nomad runs here at once; None if it is external."""
        return self._nomad.capacity

    @property
    def shortage(self) -> str:
        """Why Nomad runs fewer slots than requested, as the end of a sentence; else ""."""
        return self._nomad.shortage

    @property
    def firewall_missing(self) -> str:
        """Why isolated slots can reach more ports of this machine than they need; else ""."""
        chosen = self._isolation
        return chosen.firewall_missing if isinstance(chosen, SlotIsolation) else ""

    def restrict_slots(self, url: str) -> None:
        """Let isolated slots reach S3 and the API, at the port of its URL, and no other port.

        Raises:
            StackFault: When the firewall cannot be set up.
        """
        if isinstance(self._isolation, SlotIsolation):
            api_ports = [int(url.rpartition(":")[2])] if url else []
            try:
                self._isolation.restrict_to([self._s3.record().ports["http"], *api_ports])
            except PiCloudError as error:
                raise StackFault(error.message) from error

    def renew_certificates(self) -> list[str]:
        """Renew the certificates of PiCloud's own servers that are missing or expire soon.

        Returns:
            Names of running servers that have to be restarted, as they have no certificate or one
            of an earlier authority.
        """
        return [
            server.name
            for server in self._servers
            if self._external(server) is None and server.renew_certificates()
        ]

    def undo(self) -> None:
        """Stop the servers that the last `start` has started; others keep running."""
        self._mounts.undo()
        self._stop([server for server in self._servers if server.name in self._started])

    def running(self) -> list[str]:
        """Names of PiCloud's own servers that are running, as far as their records can be read."""
        names = []
        for server in self._servers:
            with contextlib.suppress(StackFault):
                names += [server.name] if server.record().is_running() else []
        return names

    def ended(self) -> list[str]:
        """Names of PiCloud's own servers that have ended by themselves since the start."""
        servers = (server for server in self._servers if server.name in self._ours)
        return [s.name for s in servers if not s.record().is_running()] + self._mounts.ended()

    def stop(self, url: str = "") -> None:
        """End slots, then PiCloud's own servers.

        Args:
            url: The API whose slots are ended if Nomad is external; "" ends none there.

        Raises:
            StackFault: When a process does not end or a record cannot be read; all else was
                stopped.
        """
        faults = []
        try:
            self._end_slots(url)
        except (StackFault, PiCloudError) as fault:
            faults.append(fault.message)
        faults += [*self._mounts.stop(), *self._stop(self._servers)]
        leftovers.remove(self._nomad.directory)
        if self._isolated.exists():
            isolation.remove(self._data, self._isolated.read_text())
            self._isolated.unlink()
        if faults:
            raise StackFault(" ".join(dict.fromkeys(faults)))

    # --- starting ---

    @property
    def _isolated(self) -> Path:
        """The file that exists while slots are isolated; it holds the address of dockerd."""
        return self._data / "stack" / "isolated"

    def _isolate(self) -> Containers | None:
        """Decide whether slots run in containers; only while S3 and Nomad are down."""
        servers: Sequence[AnyServer] = (self._s3, self._nomad)
        if any(server.name not in self._ours for server in servers):
            self._isolation = NotIsolated("Nomad or S3 is not PiCloud's own")
            return None
        running = any(server.record().is_running() for server in servers)
        if running and not self._isolated.exists():
            why = "the stack was started so: picloud down, then up, decides anew"
            self._isolation = NotIsolated(why)
            return None
        host = self._isolated.read_text() if running else isolation.docker_host(self._environment)
        self._isolation = isolation.detect(self._data, host, self._environment)
        if isinstance(self._isolation, NotIsolated):
            if running:
                why = self._isolation.why
                raise StackFault(f"Slots were isolated, but no longer can be: {why}.")
            self._isolated.unlink(missing_ok=True)
            self._nomad.isolation, self._s3.container_address = None, ""
            return None
        with records.disk_faults(self._isolated):
            disk.private_directory(self._isolated.parent)
            self._isolated.write_text(host)
        network = self._isolation.network
        self._nomad.isolation, self._s3.container_address = self._isolation, network.gateway
        if not running:
            # The API's port stays closed until it is known.
            self.restrict_slots("")
        return self._isolation.containers()

    def _reserve_ports(self, servers: Sequence[AnyServer]) -> None:
        """Reserve ports for each server in turn, so that no two get the same."""
        for server in servers:
            others = (other.record().ports.values() for other in servers if other is not server)
            server.reserve({port for ports in others for port in ports})

    def _all_ready(
        self, servers: Sequence[AnyServer], external: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Make some servers ready, all at once; return the address of each by its name."""
        deadline = time.monotonic() + READY_S
        with ThreadPoolExecutor(len(self._servers), "stack") as threads:
            pending = {
                server.name: threads.submit(
                    self._make_ready, server, external[server.name], deadline
                )
                for server in servers
            }
            try:
                for one in pending.values():
                    # A failure makes the others give up, so that none is waited for in vain.
                    one.exception()
            except BaseException:
                self._given_up.set()
                raise
        faults = [one.exception() for one in pending.values()]
        causes = [fault for fault in faults if fault and not isinstance(fault, Interrupted)]
        for fault in causes or [fault for fault in faults if fault]:
            raise fault
        return {name: one.result() for name, one in pending.items()}

    def _make_ready(self, server: AnyServer, external: Any, deadline: float) -> Any:
        try:
            began = time.monotonic()
            if external is not None:
                kind, address = StackEventKind.GIVEN, server.adopt(external)
            else:
                kind, address = self._start_own(server, deadline)
            self._progress(server.name, StackEvent(kind, address.address, time.monotonic() - began))
        except PiCloudError as error:
            self._given_up.set()
            raise StackFault(error.message) from error
        except BaseException:
            self._given_up.set()
            raise
        return address

    def _start_own(self, server: AnyServer, deadline: float) -> tuple[StackEventKind, Any]:
        """Find or start one of PiCloud's own servers, and wait until it is ready."""
        record = server.record()
        if process := record.process():
            try:
                return StackEventKind.FOUND, self._ready(server, record, process, deadline)
            except StackFault:
                if record.is_running():
                    raise
        # It is not running, or was just about to end when it was found.
        self._started.add(server.name)
        record = server.start(self._environment)
        process = record.process()
        if process is None:
            raise StackFault(f"{server.name} ended as soon as it was started.", server.tail())
        return StackEventKind.STARTED, self._ready(server, record, process, deadline)

    def _ready(
        self, server: AnyServer, record: ProcessRecord, process: Process, deadline: float
    ) -> Any:
        """Wait until the process of an own server is ready; return its address."""
        with contextlib.closing(process):
            startup = StartupDeadline(server, process, deadline, self._given_up)
            address = server.make_ready(server.address(record.ports), startup)
        server.keep_ports()
        return address

    def _external(self, server: AnyServer) -> Any:
        """Return the address of an external server that the environment names, or None."""
        try:
            address = server.configured(self._environment)
        except PiCloudError as error:
            raise StackFault(error.message) from error
        # A shell that has read the file for tools names PiCloud's own servers, too.
        return None if address and server.is_own(address.address) else address

    def _write_tools(self, addresses: Addresses) -> None:
        """Write a file for `. FILE` in a shell: the vendors' commands then use own servers."""
        file = self._data / "stack" / TOOLS
        named = addresses.environment(self._ours)
        lines = [f"export {name}={shlex.quote(value)}\n" for name, value in sorted(named.items())]
        with records.disk_faults(file):
            disk.private_directory(file.parent)
            disk.replace(file, "".join(lines).encode(), sync=False)

    # --- ending ---

    def _end_slots(self, url: str) -> None:
        external = self._external(self._nomad)
        if external is not None and url:
            nomad.end_slots(external, url)
        if address := self._nomad.running_address():
            nomad.end_slots(address)
            nomad.clear(address, self._nomad.directory)

    def _stop(self, servers: Sequence[AnyServer]) -> list[str]:
        """Stop servers, all at once; return a message for each that failed."""
        with ThreadPoolExecutor(len(self._servers), "stack") as threads:
            ends = [threads.submit(self._stop_one, server) for server in servers]
        faults = [one.exception() for one in ends]
        for fault in faults:
            if fault and not isinstance(fault, StackFault):
                raise fault
        return [str(fault) for fault in faults if fault]

    def _stop_one(self, server: AnyServer) -> None:
        began = time.monotonic()
        process = server.record().process()
        if process is None:
            return
        with contextlib.closing(process):
            terminate(process)
        server.forget()
        seconds = time.monotonic() - began
        self._progress(server.name, StackEvent(StackEventKind.STOPPED, seconds=seconds))


def check(addresses: Addresses) -> None:
    """Return if every server of a stack can be used.

    Raises:
        PiCloudError: When one cannot; one sentence says why.
    """
    Consul.check(addresses.consul)
    Vault.check(addresses.vault)
    S3.check(addresses.s3)
    Nats.check(addresses.nats)
    Nomad.check(addresses.nomad, Driver.DOCKER if addresses.slots else Driver.RAW_EXEC)
