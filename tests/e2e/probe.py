"""What runs inside a job to tell its state, or to attack; it needs the standard library only."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import signal
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MB = 1024 * 1024


def attempt(function: Callable[..., object], *arguments: object) -> str:
    """The name of the error a call ends with; "" when it succeeds."""
    try:
        function(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno or 0] if error.errno else type(error).__name__
    return ""


def status() -> dict[str, str]:
    """The kernel's word on this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def state_of(pid: int) -> dict[str, str]:
    """What everybody may know of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def writable() -> list[tuple[str, str]]:
    """Where this process can write, mount by mount, and with which options."""
    found = []
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, target, kind, options = line.split()[:4]
        if Path(target).is_dir() and os.access(target, os.W_OK):
            found.append((target, kind, sorted({"nosuid", "nodev"} & {*options.split(",")})))
    return found


def suid() -> list[str]:
    """Programs that give their user another one's rights."""
    places = (Path(at, name) for at, _, names in os.walk("/usr") for name in names)
    found = ((place, place.lstat()) for place in places)
    return [str(place) for place, stat in found if stat.st_mode & 0o6000]


def privilege() -> dict[str, str]:
    """What the kernel says to somebody who wants more."""
    libc = ctypes.CDLL(None, use_errno=True)

    def call(name: str, *arguments: object) -> str:
        ctypes.set_errno(0)
        refused = getattr(libc, name)(*arguments) == -1
        return errno.errorcode[ctypes.get_errno()] if refused else ""

    return {
        "setuid": attempt(os.setuid, 0),
        "setgid": attempt(os.setgid, 0),
        "setgroups": attempt(os.setgroups, [0]),
        "chroot": attempt(os.chroot, "/tmp"),
        "mknod": attempt(os.mknod, "/tmp/disk", 0o60600, os.makedev(254, 0)),
        "mount": call("mount", b"none", b"/tmp", b"tmpfs", 0, None),
        "unshare user": call("unshare", 0x10000000),
        "unshare mount": call("unshare", 0x00020000),
        "ptrace": call("ptrace", 16, 1, None, None),
        "bpf": call("syscall", 321, 0, None, 0),
        "keyctl": call("syscall", 250, 0, -3, 0),
        "perf": call("syscall", 298, None, 0, -1, -1, 0),
        "kill": attempt(os.kill, 1, signal.SIGKILL),
        "sysctl": attempt(Path("/proc/sys/kernel/core_pattern").write_text, "|/tmp/x"),
        "cgroup": attempt(Path("/sys/fs/cgroup/memory/memory.limit_in_bytes").write_text, "-1"),
    }


def sweep(needle: str) -> dict[str, list[str]]:
    """What a job can read of others: their memory and environment, and files with a token."""
    reached, tokens = [], []
    mine = {os.getpid()}
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("environ", "mem", "maps", "fd", "cwd", "root"):
            target = process / name
            with contextlib.suppress(OSError):
                if name in ("fd", "cwd", "root"):
                    list(target.iterdir())
                else:
                    target.open("rb").read(0 if name == "mem" else 1)
                if int(process.name) not in mine:
                    reached.append(str(target))
    for line in (process / "cmdline" for process in Path("/proc").glob("[0-9]*")):
        with contextlib.suppress(OSError):
            tokens += [str(line)] if needle.encode() in line.read_bytes() else []
    for top in ("/alloc", "/local", "/secrets", "/work", "/tmp", "/root", "/run", "/etc", "/var"):
        for at, _, names in os.walk(top):
            for name in names:
                with contextlib.suppress(OSError):
                    data = Path(at, name).read_bytes()
                    tokens += [f"{at}/{name}"] if needle.encode() in data else []
    tokens += [name for name, value in os.environ.items() if needle in value]
    return {"reached": reached, "tokens": tokens}


def shut() -> list[str]:
    """What Nomad's directories say."""
    return [attempt(os.listdir, place) for place in ("/secrets", "/alloc", "/local")]


def reachable(places: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Those that answer."""
    found = []
    for place in places:
        with contextlib.suppress(OSError), socket.create_connection(place, 1.0):
            found.append(place)
    return found


def listen(seconds: float) -> None:
    """Listen at a port, and tell where."""
    with socket.create_server(("0.0.0.0", 7777)):
        print(socket.gethostbyname(socket.gethostname()), flush=True)
        time.sleep(seconds)


def bomb() -> int:
    """Fork until it is refused, and leave everything running."""
    count = 0
    with contextlib.suppress(OSError):
        while count < 5_000:
            if os.fork() == 0:
                with contextlib.suppress(OSError):
                    while True:
                        os.fork()
                time.sleep(600)
            count += 1
    return count


def processes() -> int:
    """How many there are beside this one, the zygote and the supervisor."""
    return len(list(Path("/proc").glob("[0-9]*")))


def fill(place: str) -> tuple[int, str]:
    """Write until it is refused: how many MB that took, and why."""
    written = 0
    block = os.urandom(MB)
    try:
        with Path(place, "filler").open("wb", buffering=0) as file:
            while written < 4096:
                file.write(block)
                written += 1
    except OSError as error:
        return written, errno.errorcode[error.errno or 0]
    finally:
        Path(place, "filler").unlink()
    return written, ""


def devour() -> None:
    """Take memory until there is none."""
    held = []
    while True:
        held.append(bytearray(os.urandom(1024)) * 8192)


def steady(seconds: float) -> int:
    """Work for a while with memory of one's own; answers as whom."""
    own = bytearray(50 * MB)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        own[::4096] = own[::4096]
    return os.getpid()


def pace(seconds: float) -> float:
    """Do the same piece of work again and again for a while; the median of the times it took."""
    own = bytearray(8 * MB)
    took = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        began = time.perf_counter()
        own[::64] = own[::64]
        sum(range(200_000))
        took.append(time.perf_counter() - began)
    return sorted(took)[len(took) // 2]


def fibonacci(number: int) -> int:
    """Make two jobs and wait for them, as each of these does."""
    import cloud

    if number < 2:
        return number
    return sum(cloud.result(cloud.map(fibonacci, [number - 1, number - 2])))


def refused(places: tuple[str, ...]) -> list[str]:
    """Why no file can be made at some places."""
    return [attempt(Path(place).touch) for place in places]
