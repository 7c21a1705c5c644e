"""One server of a stack: where it lives, how it is started, when it can be used, how it ends."""

from __future__ import annotations

import os
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Final, Generic, TypeVar

import msgspec

from picloud_driver import disk
from picloud_driver.scheduler.local_process import birth_of
from picloud_driver.stack import records
from picloud_driver.stack.faults import StackFault
from picloud_driver.stack.ports import free_ports, is_free
from picloud_driver.stack.program import find

if TYPE_CHECKING:
    from pathlib import Path

    from picloud_driver.stack.program import Program
    from picloud_driver.stack.wait import Wait

_TAIL_LINES: Final = 12
_TAIL_BYTES: Final = 4096
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SHORT: Final = 60
"""Longest directory in which a socket's path, of 108 bytes at most, has room for a name."""

# A server is recorded before it runs: one that nobody knows of would keep its ports for ever. It
# waits for a line, which never comes when we are killed.
_GATE: Final = 'read -r go && [ "$go" = go ] && exec "$0" "$@" </dev/null'

Way = TypeVar("Way")


class Launch(msgspec.Struct, frozen=True):
    """How to start a server: arguments behind its program, and what it finds in its environment."""

    arguments: Sequence[str]
    environment: Mapping[str, str] = {}


class Part(ABC, Generic[Way]):
    """A server of ours on this machine, below a data directory.

    `Way` is how it is reached, a `Server` or a `Bucket`.

    Args:
        data: Of the stack. The server's own files lie in `stack/<name>` below it, and what is
            remembered of its process in `stack/<name>.json`.
    """

    name: ClassVar[str]
    program: ClassVar[Program]
    port_names: ClassVar[tuple[str, ...]]
    """The first is the one that clients use."""

    def __init__(self, data: Path) -> None:
        self.directory = data / "stack" / self.name
        self.log = self.directory / f"{self.name}.log"
        self._file = data / "stack" / f"{self.name}.json"
        self._keys = data / "stack" / f"{self.name}.keys.json"

    @abstractmethod
    def launch(self, ports: Mapping[str, int]) -> Launch:
        """Write what the server reads when it starts."""

    @abstractmethod
    def way(self, ports: Mapping[str, int]) -> Way:
        """How it is reached when it runs; it may lack what `settle` adds."""

    @abstractmethod
    def settle(self, way: Way, wait: Wait) -> Way:
        """Wait until it can be used, and make in it what the platform needs.

        Raises:
            StackFault: When that does not come to pass.
        """

    @staticmethod
    @abstractmethod
    def check(way: Way) -> None:
        """Return when a server can be used, ours or another.

        Raises:
            PiCloudError: When it cannot; one sentence says why.
        """

    @abstractmethod
    def given(self, environment: Mapping[str, str]) -> Way | None:
        """The server that an environment names, None where it names none."""

    def adopt(self, way: Way) -> Way:
        """Check a server that is not ours, and make in it what the platform needs."""
        self.check(way)
        return way

    # --- its process ---

    def record(self) -> records.Record:
        """What is remembered of it.

        Raises:
            StackFault: When that cannot be read.
        """
        advice = f"end the {self.program.name} that it told of, if it still runs, and remove it"
        return records.read(self._file, records.Record, advice) or records.Record()

    def reserve(self, taken: Collection[int] = ()) -> None:
        """Choose its ports beside those taken, unless it has some that it can keep.

        No process may be started meanwhile: it would hold, for a moment, the ports that are looked
        at.

        Raises:
            StackFault: When another program has one that it was ready on before.
        """
        record = self.record()
        if record.lives():
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
        records.write(self._file, records.Record(ports=ports))

    def keep(self) -> None:
        """Keep its ports for good: it was ready on them."""
        record = self.record()
        if not record.settled:
            records.write(self._file, msgspec.structs.replace(record, settled=True))

    def start(self, environment: Mapping[str, str]) -> records.Record:
        """Start it on the ports that were reserved; the answer is its record.

        Raises:
            StackFault: When its program is missing.
        """
        program = find(self.program, environment)
        ports = self.record().ports
        with records.told(self.directory):
            disk.private_directory(self.directory)
            launch = self.launch(ports)
            return self._spawn([str(program), *launch.arguments], launch.environment)

    def forget(self) -> None:
        """Remember its ports only: it has ended."""
        records.write(self._file, msgspec.structs.replace(self.record(), pid=0, birth=""))

    def tail(self) -> str:
        """The last lines of its log."""
        try:
            with self.log.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
                lines = log.read().decode(errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join(lines[-_TAIL_LINES:])

    def _spawn(self, command: Sequence[str], environment: Mapping[str, str]) -> records.Record:
        opened = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, disk.PRIVATE_FILE)
        try:
            child = subprocess.Popen(  # noqa: S603 - a program that was looked for, no user's part
                ["/bin/sh", "-c", _GATE, *command],
                stdin=subprocess.PIPE,
                stdout=opened,
                stderr=opened,
                cwd=self.directory,
                env={**self._environment(), **environment},
                # Ctrl-C in a terminal is not for it, and it outlives us.
                start_new_session=True,
            )
        finally:
            os.close(opened)
        assert child.stdin is not None
        # It is reaped by its pidfd and may outlive this process: Popen shall neither wait nor warn.
        child.returncode = 0
        birth = birth_of(child.pid) or ""
        record = msgspec.structs.replace(self.record(), pid=child.pid, birth=birth)
        with child.stdin:
            records.write(self._file, record)
            child.stdin.write(b"go\n")
        return record

    def _environment(self) -> dict[str, str]:
        """What it gets instead of ours, in which tokens and settings of other servers may be."""
        found = {"PATH": _PATH, "LANG": "C.UTF-8", "HOME": str(self.directory)}
        if len(str(self.directory)) <= _SHORT:
            found["TMPDIR"] = str(self.directory)
        return found
