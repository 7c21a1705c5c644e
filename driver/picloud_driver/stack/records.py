"""Records of processes in a data directory, by which a later command finds them again."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from picloud_driver import disk
from picloud_driver.process import Process, birth_of
from picloud_driver.stack.faults import StackFault

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_T = TypeVar("_T")

# A process is recorded before it runs: without a record it would keep its ports forever. It waits
# for a line, which never comes if this process is killed before the record is written.
_GATE: Final = 'read -r go && [ "$go" = go ] && exec "$0" "$@" </dev/null'


class ProcessRecord(msgspec.Struct, frozen=True):
    """A server's process and ports; `birth` tells it from a later process with the same pid.

    Pid 0 means no process: the ports are kept for the next start. They are `settled` once the
    server was ready on them; until then another program may take one, and others are chosen.
    `authority` is the fingerprint of the one that signed the process's certificate; "" without TLS.
    """

    pid: int = 0
    birth: str = ""
    ports: dict[str, int] = {}
    settled: bool = False
    authority: str = ""

    def process(self) -> Process | None:
        """Return the process if it is running."""
        process = Process.find(self.pid, self.birth) if self.pid > 0 else None
        if process and not process.alive():
            process.close()
            return None
        return process

    def is_running(self) -> bool:
        """Whether the process is running."""
        process = self.process()
        if process:
            process.close()
        return process is not None


def read(path: Path, kind: type[_T], advice: str) -> _T | None:
    """Read a record; None if there is no file.

    Args:
        path: The file.
        kind: Type of the record.
        advice: What to do when it cannot be read, for the end of a sentence.

    Raises:
        StackFault: When it cannot be read.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StackFault(f"{path} cannot be read: {error.strerror}; {advice}.") from error
    except msgspec.DecodeError as error:
        raise StackFault(f"{path} is damaged: {advice}.") from error


def write(path: Path, record: msgspec.Struct) -> None:
    """Write a record that only this user may read; a crash leaves the old one or the new."""
    with disk_faults(path):
        disk.private_directory(path.parent)
        # Synced, as some records are keys that a server shows only once.
        disk.replace(path, msgspec.json.encode(record), sync=True)


def spawn(
    file: Path,
    record: ProcessRecord,
    command: Sequence[str],
    log: Path,
    environment: Mapping[str, str],
) -> ProcessRecord:
    """Start a process that outlives this one, and record it; return its record.

    Args:
        file: Where it is recorded.
        record: What is recorded with its pid and birth.
        command: Its program and arguments, none of which a user chose.
        log: The file for its output, in whose directory it runs.
        environment: Its variables.
    """
    opened = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, disk.PRIVATE_FILE)
    try:
        child = subprocess.Popen(  # noqa: S603 - no user chose the program
            ["/bin/sh", "-c", _GATE, *command],
            stdin=subprocess.PIPE,
            stdout=opened,
            stderr=opened,
            cwd=log.parent,
            env=dict(environment),
            # Ctrl-C in a terminal must not reach it.
            start_new_session=True,
        )
    finally:
        os.close(opened)
    assert child.stdin is not None
    # The pidfd reaps it, and it may outlive this process: Popen shall neither wait nor warn.
    child.returncode = 0
    birth = birth_of(child.pid) or ""
    started = msgspec.structs.replace(record, pid=child.pid, birth=birth)
    with child.stdin:
        write(file, started)
        child.stdin.write(b"go\n")
    return started


@contextlib.contextmanager
def disk_faults(path: Path) -> Iterator[None]:
    """Turn an `OSError` inside the block into a `StackFault`."""
    try:
        yield
    except OSError as fault:
        raise StackFault(disk.refusal(fault, path).message) from fault


@contextlib.contextmanager
def exclusive(data: Path) -> Iterator[None]:
    """Hold the lock of a data directory's stack: one process at a time starts or ends it."""
    with disk_faults(data):
        disk.private_directory(data)
        opened = os.open(data / "up.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, disk.PRIVATE_FILE)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)
