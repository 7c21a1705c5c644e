"""Usage: what a child uses while it runs a job, read from outside of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, NamedTuple

_TICKS: Final = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_KILOBYTE: Final = 1024
_LISTENING: Final = "0A"
_BOUND: Final = "07"


class Usage(NamedTuple):
    """CPU in seconds since the process began, with the processes it waited for; memory in bytes."""

    user_s: float
    system_s: float
    memory_bytes: int
    peak_bytes: int
    swap_bytes: int

    @property
    def cpu_s(self) -> float:
        """CPU in all."""
        return self.user_s + self.system_s


def read(pid: int) -> Usage | None:
    """What a process uses; None where the system does not tell.

    >>> found = read(os.getpid())
    >>> found is None or found.memory_bytes > 0
    True
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        status = _status(pid)
    except OSError:
        return None
    # After the name: state is field 0; utime, stime, cutime and cstime are 11 to 14.
    user, system, waited_user, waited_system = (int(field) for field in fields[11:15])
    return Usage(
        (user + waited_user) / _TICKS,
        (system + waited_system) / _TICKS,
        status.get("VmRSS", 0),
        status.get("VmHWM", 0),
        status.get("VmSwap", 0),
    )


def _status(pid: int) -> dict[str, int]:
    """Sizes of a process in bytes."""
    found = {}
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name in ("VmRSS", "VmHWM", "VmSwap"):
            found[name] = int(value.split()[0]) * _KILOBYTE
    return found


def listening(pid: int) -> dict[str, list[int]]:
    """The ports that a process and its descendants listen on, by protocol.

    >>> sorted(listening(os.getpid()))
    ['tcp', 'udp']
    """
    own = {inode for each in (pid, *_descendants(pid)) for inode in _sockets(each)}
    ports: dict[str, list[int]] = {}
    for protocol, state in (("tcp", _LISTENING), ("udp", _BOUND)):
        found = {
            port
            for table in (protocol, f"{protocol}6")
            for port, inode in _table(pid, table, state)
            if inode in own
        }
        ports[protocol] = sorted(found)
    return ports


def _table(pid: int, name: str, wanted: str) -> list[tuple[int, str]]:
    try:
        lines = Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]
    except OSError:
        return []
    rows = [line.split() for line in lines]
    return [(int(row[1].rpartition(":")[2], 16), row[9]) for row in rows if row[3] == wanted]


def _sockets(pid: int) -> set[str]:
    found = set()
    try:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            try:
                name = str(descriptor.readlink())
            except OSError:
                continue
            if name.startswith("socket:["):
                found.add(name[8:-1])
    except OSError:
        return found
    return found


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    waiting = [pid]
    while waiting:
        parent = waiting.pop()
        try:
            text = Path(f"/proc/{parent}/task/{parent}/children").read_text()
        except OSError:
            continue
        waiting += (new := [int(child) for child in text.split()])
        found += new
    return found
