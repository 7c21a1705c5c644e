"""Reads from procfs what a child uses while it runs a job, and where it listens."""

from __future__ import annotations

import contextlib
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
    """CPU in seconds since the start of the process, including awaited ones; memory in bytes."""

    user_s: float
    system_s: float
    memory_bytes: int
    peak_bytes: int
    swap_bytes: int

    @property
    def cpu_s(self) -> float:
        """CPU in user space and in the kernel."""
        return self.user_s + self.system_s


class MountId(NamedTuple):
    """A mounted file system: what the kernel calls the mount, and the number of its device."""

    number: str
    device: str


def read(pid: int) -> Usage | None:
    """Return what a process uses; None where there is no procfs.

    >>> usage = read(os.getpid())
    >>> usage is None or usage.memory_bytes > 0
    True
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        status = _status(pid)
    except OSError:
        return None
    # Counted after the name: the state is field 0; utime, stime, cutime and cstime are 11 to 14.
    user, system, waited_user, waited_system = (int(field) for field in fields[11:15])
    return Usage(
        user_s=(user + waited_user) / _TICKS,
        system_s=(system + waited_system) / _TICKS,
        memory_bytes=status.get("VmRSS", 0),
        peak_bytes=status.get("VmHWM", 0),
        swap_bytes=status.get("VmSwap", 0),
    )


def _status(pid: int) -> dict[str, int]:
    """Return the memory sizes of a process in bytes."""
    sizes = {}
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name in ("VmRSS", "VmHWM", "VmSwap"):
            sizes[name] = int(value.split()[0]) * _KILOBYTE
    return sizes


def count(pid: int) -> int:
    """Return how many processes a process and its descendants are.

    >>> count(os.getpid()) >= 1
    True
    """
    return 1 + len(_descendants(pid))


def listening(pid: int) -> dict[str, list[int]]:
    """Return the ports on which a process and its descendants listen, by protocol.

    >>> sorted(listening(os.getpid()))
    ['tcp', 'udp']
    """
    ports: dict[str, list[int]] = {}
    owns = _ownership(pid)
    for protocol, state in (("tcp", _LISTENING), ("udp", _BOUND)):
        ports[protocol] = sorted(
            {
                port
                for table in (protocol, f"{protocol}6")
                for port, uid, inode in _sockets_in(pid, table, state)
                if owns(uid, inode)
            }
        )
    return ports


def mount_at(path: str) -> MountId | None:
    """Return which file system is mounted at a path, without a look at it, which could block."""
    found = None
    with contextlib.suppress(OSError), Path("/proc/self/mountinfo").open(encoding="utf-8") as lines:
        for line in lines:
            number, _, device, _, at, *_ = line.split()
            if at == path:  # a later one hides those before
                found = MountId(number, device)
    return found


def has_open(pid: int, mount: MountId) -> bool:
    """Whether a process or a descendant has files of a mount open, or in its memory.

    The files are not looked at: what serves them may have ended, or be stopped. Of processes of
    other users nothing is seen.

    >>> has_open(os.getpid(), MountId("none", "none"))
    False
    """
    return any(_has_open(each, mount) for each in (pid, *_descendants(pid)))


def _has_open(pid: int, mount: MountId) -> bool:
    process = Path(f"/proc/{pid}")
    try:
        for descriptor in (process / "fdinfo").iterdir():
            lines = _lines(descriptor)
            if any(line.split() == ["mnt_id:", mount.number] for line in lines):
                return True
    except OSError:
        return False
    # "address permissions offset device inode path"; the numbers of a device are hexadecimal.
    major, _, minor = mount.device.partition(":")
    device = f"{int(major):02x}:{int(minor):02x}" if major.isdigit() else mount.device
    return any(line.split()[3] == device for line in _lines(process / "maps"))


def _lines(path: Path) -> list[str]:
    """Return the lines of a file; none if it has gone, or belongs to another user."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _ownership(pid: int) -> Callable[[str, str], bool]:
    """Return a function that says whether a socket belongs to a process or its descendants.

    Its arguments are the user and the inode of the socket.
    """
    try:
        owner = Path(f"/proc/{pid}").stat().st_uid
    except OSError:
        return lambda _uid, _inode: False
    if owner != os.geteuid():
        # The descriptors of other users' processes are hidden. In a container, only the jobs of
        # this slot have that user.
        return lambda uid, _inode: uid == str(owner)
    own = {inode for process in (pid, *_descendants(pid)) for inode in _inodes(process)}
    return lambda _uid, inode: inode in own


def _sockets_in(pid: int, table: str, state: str) -> list[tuple[int, str, str]]:
    """Return the port, the user and the inode of each socket of a table in a state."""
    try:
        lines = Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
    except OSError:
        return []
    rows = [row for line in lines if (row := line.split())[3] == state]
    return [(int(row[1].rpartition(":")[2], 16), row[7], row[9]) for row in rows]


def _inodes(pid: int) -> set[str]:
    """Return the inodes of a process's sockets."""
    inodes: set[str] = set()
    try:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            try:
                name = str(descriptor.readlink())
            except OSError:
                continue
            if name.startswith("socket:["):
                inodes.add(name[8:-1])
    except OSError:
        return inodes
    return inodes


def _descendants(pid: int) -> list[int]:
    pids: list[int] = []
    parents = [pid]
    while parents:
        parent = parents.pop()
        try:
            text = Path(f"/proc/{parent}/task/{parent}/children").read_text()
        except OSError:
            continue
        parents += (children := [int(child) for child in text.split()])
        pids += children
    return pids
