"""Usage: what a child uses while it runs a job, read from outside of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

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
    ports: dict[str, list[int]] = {}
    owns = _owner(pid)
    for protocol, state in (("tcp", _LISTENING), ("udp", _BOUND)):
        found = {
            port
            for table in (protocol, f"{protocol}6")
            for port, user, inode in _table(pid, table, state)
            if owns(user, inode)
        }
        ports[protocol] = sorted(found)
    return ports


def _owner(pid: int) -> Callable[[str, str], bool]:
    """Whether a socket of some user and inode belongs to a process or its descendants."""
    try:
        owner = Path(f"/proc/{pid}").stat().st_uid
    except OSError:
        return lambda _user, _inode: False
    if owner != os.geteuid():
        # Of others' processes it is not told. In a container, such a user is this slot's alone.
        return lambda user, _inode: user == str(owner)
    own = {inode for each in (pid, *_descendants(pid)) for inode in _sockets(each)}
    return lambda _user, inode: inode in own


def _table(pid: int, name: str, wanted: str) -> list[tuple[int, str, str]]:
    """Port, user and inode of each socket in a state."""
    try:
        lines = Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]
    except OSError:
        return []
    rows = [row for line in lines if (row := line.split())[3] == wanted]
    return [(int(row[1].rpartition(":")[2], 16), row[7], row[9]) for row in rows]


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
