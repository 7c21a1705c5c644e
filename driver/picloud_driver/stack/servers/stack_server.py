"""A server of a stack: its files, its ports, and how it is started, checked and found again."""

from __future__ import annotations

import contextlib
import os
import signal
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, TypeVar

import msgspec

from picloud_driver import disk
from picloud_driver.authority import Authority
from picloud_driver.stack import records
from picloud_driver.stack.addresses import VendorServer
from picloud_driver.stack.faults import StackFault
from picloud_driver.stack.servers.ports import HOST, free_ports, is_free
from picloud_driver.stack.servers.program import find

if TYPE_CHECKING:
    from pathlib import Path

    from picloud_driver.stack.servers.program import Program
    from picloud_driver.stack.servers.startup import StartupDeadline

CLIENT: Final = "client"
"""The certificate of all clients of the servers of a stack."""
_TAIL_LINES: Final = 12
_TAIL_BYTES: Final = 4096
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SHORT: Final = 60
"""Longest directory that leaves room for the name of a socket, whose path has at most 108 bytes."""

Address = TypeVar("Address")


class Launch(msgspec.Struct, frozen=True):
    """How to start a server: the arguments of its program and its environment variables."""

    arguments: Sequence[str]
    environment: Mapping[str, str] = {}


class StackServer(ABC, Generic[Address]):
    """A server that PiCloud runs on this machine, below a data directory.

    `Address` says how clients reach it, a `VendorServer` or a `Bucket`.

    Args:
        data: The data directory of the stack. `stack/<name>` below it holds the server's own
            files, `stack/<name>.json` the record of its process.
    """

    name: ClassVar[str]
    program: ClassVar[Program]
    port_names: ClassVar[tuple[str, ...]]
    """The first is the one that clients use."""
    roles: ClassVar[tuple[str, ...] | None] = None
    """The names by which servers of its kind know each other's certificate; None without TLS."""

    def __init__(self, data: Path) -> None:
        self.directory = data / "stack" / self.name
        self.log = self.directory / f"{self.name}.log"
        self._file = data / "stack" / f"{self.name}.json"
        self._keys = data / "stack" / f"{self.name}.keys.json"
        self._authority = Authority(data / "stack" / "tls")

    @abstractmethod
    def launch(self, ports: Mapping[str, int]) -> Launch:
        """Write the files that the server reads when it starts."""

    @abstractmethod
    def address(self, ports: Mapping[str, int]) -> Address:
        """Return how clients reach it; it may lack what `make_ready` adds."""

    @abstractmethod
    def make_ready(self, address: Address, deadline: StartupDeadline) -> Address:
        """Wait until it can be used, and make in it what the platform needs.

        Raises:
            StackFault: When it does not become ready.
        """

    @staticmethod
    @abstractmethod
    def check(address: Address) -> None:
        """Return if a server can be used, PiCloud's own or an external one.

        Raises:
            PiCloudError: When it cannot; one sentence says why.
        """

    @abstractmethod
    def configured(self, environment: Mapping[str, str]) -> Address | None:
        """Return the external server that an environment names, or None."""

    def adopt(self, address: Address) -> Address:
        """Check an external server, and make in it what the platform needs."""
        self.check(address)
        return address

    def is_own(self, address: str) -> bool:
        """Whether an address of the environment is that of this server."""
        own = f"{HOST}:{self.record().ports.get(self.port_names[0])}"
        return address in (f"http://{own}", f"https://{own}")

    # --- its certificate ---

    def renew_certificates(self) -> bool:
        """Make its certificate and its clients', if missing or soon to expire.

        Returns:
            Whether a running process uses one that its clients no longer accept, or none.
        """
        record = self.record()
        if self.roles is None:
            return False
        with records.disk_faults(self.directory):
            self._authority.renew(CLIENT)
            renewed = self._authority.renew(self.name, [*self.roles, "localhost", HOST])
        process = record.process()
        if process is None:
            return False
        with contextlib.closing(process):
            if record.authority != self._authority.fingerprint():
                return True
            if renewed:
                # Each of them then reads its certificate again.
                os.kill(process.pid, signal.SIGHUP)
        return False

    def tls_address(self, port: int, token: str = "") -> VendorServer:
        """Return the address of a port that speaks TLS, and the certificate of its clients."""
        files = self._authority.files(CLIENT)
        return VendorServer(
            address=f"https://{HOST}:{port}",
            token=token,
            ca_file=files.ca_file,
            cert_file=files.cert_file,
            key_file=files.key_file,
        )

    # --- its process ---

    def record(self) -> records.ProcessRecord:
        """Return the record of its process.

        Raises:
            StackFault: When the record cannot be read.
        """
        advice = f"end the {self.program.name} that it names, if it is running, and remove it"
        kind = records.ProcessRecord
        return records.read(self._file, kind, advice) or kind()

    def reserve(self, taken: Collection[int] = ()) -> None:
        """Choose its ports, other than those taken, unless it can keep the ports it has.

        No process may be started meanwhile: a fork would briefly hold the ports that are probed.

        Raises:
            StackFault: When another program uses a port that the server was ready on before.
        """
        record = self.record()
        if record.is_running():
            return
        if record.ports.keys() == set(self.port_names):
            lost = [port for port in record.ports.values() if port in taken or not is_free(port)]
            if lost and record.settled:
                raise StackFault(
                    f"Port {lost[0]}, which {self.name} has here, is taken by another program; end "
                    "that, or use another data directory."
                )
            if not lost:
                return
        chosen = free_ports(len(self.port_names), taken)
        ports = dict(zip(self.port_names, chosen, strict=True))
        records.write(self._file, records.ProcessRecord(ports=ports))

    def keep_ports(self) -> None:
        """Record that it was ready on its ports, which are its own from then on."""
        record = self.record()
        if not record.settled:
            records.write(self._file, msgspec.structs.replace(record, settled=True))

    def start(self, environment: Mapping[str, str]) -> records.ProcessRecord:
        """Start it on its reserved ports, and return its record.

        Raises:
            StackFault: When its program is missing.
        """
        program = find(self.program, environment)
        ports = self.record().ports
        with records.disk_faults(self.directory):
            disk.private_directory(self.directory)
            launch = self.launch(ports)
            return self._spawn([str(program), *launch.arguments], launch.environment)

    def forget(self) -> None:
        """Record that its process has ended; its ports are kept."""
        records.write(self._file, msgspec.structs.replace(self.record(), pid=0, birth=""))

    def tail(self) -> str:
        """Return the last lines of its log."""
        try:
            with self.log.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
                lines = log.read().decode(errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join(lines[-_TAIL_LINES:])

    def write_config(self, config: Mapping[str, Any]) -> Path:
        """Write its configuration as JSON, and return the file."""
        file = self.directory / f"{self.name}.json"
        disk.replace(file, msgspec.json.encode(config), sync=False)
        return file

    def _spawn(
        self, command: Sequence[str], environment: Mapping[str, str]
    ) -> records.ProcessRecord:
        authority = "" if self.roles is None else self._authority.fingerprint()
        record = msgspec.structs.replace(self.record(), authority=authority)
        variables = {**self._environment(), **environment}
        return records.spawn(self._file, record, command, self.log, variables)

    def _environment(self) -> dict[str, str]:
        """Its environment. This process's own may hold tokens and settings of other servers."""
        variables = {"PATH": _PATH, "LANG": "C.UTF-8", "HOME": str(self.directory)}
        if len(str(self.directory)) <= _SHORT:
            variables["TMPDIR"] = str(self.directory)
        return variables
