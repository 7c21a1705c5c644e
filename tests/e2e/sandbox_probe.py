"""Code that runs inside a job to report its state, or to attack; it needs the standard library
only.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import importlib
import itertools
import os
import resource
import signal
import socket
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MB = 1024 * 1024


def attempt(function: Callable[..., object], *arguments: object) -> str:
    """Return the name of the error that a call raises; "" when it succeeds."""
    try:
        function(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno or 0] if error.errno else type(error).__name__
    return ""


def status() -> dict[str, str]:
    """Return the kernel's status of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def state_of(pid: int) -> dict[str, str]:
    """Return what every process may read about a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def writable() -> list[tuple[str, str]]:
    """Return where this process can write, mount by mount, and with which options."""
    mounts = []
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, target, kind, options = line.split()[:4]
        if Path(target).is_dir() and os.access(target, os.W_OK):
            mounts.append((target, kind, sorted({"nosuid", "nodev"} & {*options.split(",")})))
    return mounts


def suid() -> list[str]:
    """Return the programs that give their user the rights of another one."""
    places = (Path(at, name) for at, _, names in os.walk("/usr") for name in names)
    files = ((place, place.lstat()) for place in places)
    return [str(place) for place, stat in files if stat.st_mode & 0o6000]


def privilege() -> dict[str, str]:
    """Return the kernel's answer to attempts to gain rights, other than those of `calls`."""
    return {
        "kill": attempt(os.kill, 1, signal.SIGKILL),
        "sysctl": attempt(Path("/proc/sys/kernel/core_pattern").write_text, "|/tmp/x"),
        "cgroup": attempt(Path("/sys/fs/cgroup/memory/memory.limit_in_bytes").write_text, "-1"),
        "raw socket": attempt(socket.socket, socket.AF_INET, socket.SOCK_RAW, 1),
        "packet socket": attempt(socket.socket, socket.AF_PACKET, socket.SOCK_RAW, 0),
        "priority": attempt(os.setpriority, os.PRIO_PROCESS, 0, -20),
        "real time": attempt(os.sched_setscheduler, 0, os.SCHED_FIFO, os.sched_param(1)),
        "owner": attempt(os.chown, "/tmp", 0, 0),
        "core files": str(resource.getrlimit(resource.RLIMIT_CORE)),
    }


def calls(wanted: dict[str, tuple[int, tuple[int | bytes | None, ...]]]) -> dict[str, str]:
    """Return the kernel's answer to system calls by number, each made in a process of its own.

    The answer is the name of the error; "" if the call is allowed; the signal if it ended the
    process.
    """
    return {name: _called(number, arguments) for name, (number, arguments) in wanted.items()}


def _called(number: int, arguments: tuple[int | bytes | None, ...]) -> str:
    libc = ctypes.CDLL(None, use_errno=True)
    given = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        ctypes.set_errno(0)
        refused = libc.syscall(ctypes.c_long(number), *given) == -1
        os.write(write, errno.errorcode[ctypes.get_errno()].encode() if refused else b"")
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as answer:
        error = answer.read().decode()
    _, ended = os.waitpid(child, 0)
    return f"signal {os.WTERMSIG(ended)}" if os.WIFSIGNALED(ended) else error


FLIP = bytes(255 - byte for byte in range(256))
"""Inverts each bit: the search terms are passed inverted, or the search would find itself."""
PIECE = 4 * MB
LONGEST = 2048
"""More bytes than any secret has."""


def hunt(turned: list[bytes], planted: bytes) -> list[tuple[int, str]]:
    """Return where each of some secrets, given with every bit inverted, is within reach of this
    process.

    Searched are every file, everything that /proc shows of every process, and this process's own
    memory. `planted` is a secret, too: it is inverted back and hidden in a file, in the
    environment, and in memory.
    """
    plain = planted.translate(FLIP)
    Path("/tmp/planted").write_bytes(b"x" * (PIECE - 3) + plain)
    os.environb[b"PLANTED"] = plain
    places: set[tuple[int, str]] = set()
    # Only halves are turned back: a whole one here would be found as well.
    halves = [(each[: len(each) // 2], each[len(each) // 2 :]) for each in turned]
    sought = [(first.translate(FLIP), rest.translate(FLIP)) for first, rest in halves]

    def look(place: str, pieces: Iterator[bytes]) -> None:
        tail = b""
        for piece in pieces:
            looked = tail + piece
            places.update((at, place) for at, each in enumerate(sought) if _holds(looked, *each))
            tail = piece[-LONGEST:]

    for process in Path("/proc").glob("[0-9]*"):
        for file in process.iterdir():
            with contextlib.suppress(OSError):
                look("/proc", iter([_beginning(file)]))
        for descriptor in _listed(process / "fd"):
            with contextlib.suppress(OSError):
                look("descriptor", iter([str(descriptor.readlink()).encode()]))
    for at, folders, names in os.walk("/"):
        folders[:] = [name for name in folders if f"{at}{name}" not in ("/proc", "/sys")]
        for name in names:
            file = Path(at, name)
            with contextlib.suppress(OSError):
                if stat.S_ISREG(file.lstat().st_mode):
                    look(at, _pieces(file))
    look("environment", iter([repr(dict(os.environb)).encode(), b" ".join(os.environb.values())]))
    with Path("/proc/self/mem").open("rb", buffering=0) as memory:
        for start, end in _regions():
            with contextlib.suppress(OSError, ValueError):
                look("memory", _spans(memory, start, end))
    Path("/tmp/planted").unlink()
    return sorted(places)


def _holds(data: bytes, first: bytes, rest: bytes) -> bool:
    at = data.find(first)
    while at >= 0 and not data.startswith(rest, at + len(first)):
        at = data.find(first, at + 1)
    return at >= 0


def _beginning(file: Path) -> bytes:
    if not stat.S_ISREG(file.lstat().st_mode) or file.name in ("mem", "pagemap"):
        return b""
    with file.open("rb") as opened:
        return opened.read(MB)


def _listed(folder: Path) -> list[Path]:
    with contextlib.suppress(OSError):
        return list(folder.iterdir())
    return []


def _pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb", buffering=0) as opened:
        while piece := opened.read(PIECE):
            yield piece


def _regions() -> list[tuple[int, int]]:
    """Yield the regions of its memory that this process can read."""
    regions = []
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, rights, *_ = line.split()
        if rights.startswith("r") and not line.endswith(("[vvar]", "[vsyscall]")):
            start, _, end = span.partition("-")
            regions.append((int(start, 16), int(end, 16)))
    return regions


def _spans(memory: Any, start: int, end: int) -> Iterator[bytes]:
    for at in range(start, end, PIECE):
        memory.seek(at)
        yield memory.read(min(PIECE, end - at))


def of_numpy(numbers: list[int]) -> int:
    """Return a sum computed by numpy."""
    numpy = importlib.import_module("numpy")  # the tests themselves do without
    return int(numpy.sum(numbers))


def own_token() -> str:
    """Return the token with which this job makes its own calls."""
    from cloud._client.current_job import CurrentJob

    job = CurrentJob.here()
    assert job is not None
    return job.address().key


def tell_token(seconds: float) -> None:
    """Publish the own token, and go on for a while."""
    print(own_token(), flush=True)
    time.sleep(seconds)


def sweep(needle: str) -> dict[str, list[str]]:
    """Return what a job can read of other processes, and which files contain a token."""
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
    """Return what happens on access to Nomad's directories."""
    return [attempt(os.listdir, place) for place in ("/secrets", "/alloc", "/local")]


def looked_up(address: str, names: list[str]) -> tuple[str, list[str]]:
    """Return the name of an address, and which of some names have an address."""

    def has_address(name: str) -> bool:
        try:
            socket.gethostbyname(name)
        except OSError:
            return False
        return True

    # At once: without the internet each name that Docker does not know takes 10 s.
    with ThreadPoolExecutor(len(names)) as pool:
        found = [*pool.map(has_address, names)]
    return socket.gethostbyaddr(address)[0], [*itertools.compress(names, found)]


def reachable(places: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Return the addresses that accept a connection."""
    open_ports = []
    for place in places:
        with contextlib.suppress(OSError), socket.create_connection(place, 1.0):
            open_ports.append(place)
    return open_ports


def listen(seconds: float) -> None:
    """Listen on a port, and publish its address."""
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
    """Return the number of processes besides this one, the zygote and the supervisor."""
    return len(list(Path("/proc").glob("[0-9]*")))


def fill(place: str) -> tuple[int, str]:
    """Write until it is refused; return how many MB were written, and the error."""
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
    """Allocate memory until there is none left."""
    held = []
    while True:
        held.append(bytearray(os.urandom(1024)) * 8192)


def steady(seconds: float) -> int:
    """Work for a while with memory of its own; return the user."""
    own = bytearray(50 * MB)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        own[::4096] = own[::4096]
    return os.getpid()


def pace(seconds: float) -> float:
    """Repeat the same piece of work for a while; return the median of its times, in seconds.

    The time for which other programs had the processor does not count.
    """
    own = bytearray(8 * MB)
    took = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        began, waited = time.perf_counter(), _waited_for_a_processor()
        own[::64] = own[::64]
        sum(range(200_000))
        took.append(time.perf_counter() - began - (_waited_for_a_processor() - waited))
    return sorted(took)[len(took) // 2]


def _waited_for_a_processor() -> float:
    return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9


def fibonacci(number: int) -> int:
    """Make two jobs and wait for them, as each of these does."""
    import cloud

    if number < 2:
        return number
    return sum(cloud.result(cloud.map(fibonacci, [number - 1, number - 2])))


def refused(places: tuple[str, ...]) -> list[str]:
    """Return why no file can be created at some paths."""
    return [attempt(Path(place).touch) for place in places]


def bucket_mount() -> dict[str, object]:
    """Return how the bucket is mounted, and what each attempt to get beyond it raises."""
    at = Path("/bucket")
    (line,) = [
        line.split()
        for line in Path("/proc/self/mounts").read_text().splitlines()
        if line.split()[1] == str(at)
    ]
    (at / "own").write_bytes(b"own")
    attempts = {
        "device": attempt(os.open, "/dev/fuse", os.O_RDWR),
        "request": attempt(os.listdir, "/alloc/bucket"),
        "symbolic link": attempt(os.symlink, "/etc/passwd", at / "link"),
        "hard link": attempt(os.link, at / "own", at / "other"),
        "device node": attempt(os.mknod, at / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3)),
        "unmount": attempt(_unmount, str(at)),
    }
    return {
        "kind": line[2],
        "options": sorted({"nosuid", "nodev", "allow_other"} & {*line[3].split(",")}),
        "user": int(line[3].partition("user_id=")[2].partition(",")[0]) == os.getuid(),
        "names": sorted(path.name for path in at.iterdir()),
        "above": (at / "..").resolve() == Path("/"),
        **attempts,
    }


def volume_mount(name: str, path: str, others: list[str]) -> dict[str, object]:
    """Write to a volume at its mount path; return how it is mounted, and which other paths are."""
    from cloud._config.settings import ClientSettings
    from cloud._http.job_socket import SupervisorClient

    supervisor = SupervisorClient(ClientSettings.read().job_socket or "")
    file = Path(path) / "own"
    names = sorted(each.name for each in Path(path).iterdir())
    file.write_text("own", encoding="utf-8")
    (line,) = [
        line.split()
        for line in Path("/proc/self/mounts").read_text().splitlines()
        if line.split()[1] == path
    ]
    return {
        "names": names,
        "options": sorted({"nosuid", "nodev"} & {*line[3].split(",")}),
        "others": [supervisor.mount_volumes({name: other}) for other in others],
        "unnamed": supervisor.mount_volumes({"unnamed": "/unnamed"}),
        "unmount": attempt(_unmount, path),
        "beside": attempt(os.mkdir, f"{path}-beside"),
    }


def fill_bucket() -> tuple[str, int]:
    """Write to a file in the bucket; return the error, and how many MB there were before it."""
    import cloud

    path = Path(cloud.bucket.mount_path()) / "large"
    written, error = 0, ""
    with path.open("wb", buffering=0) as file:
        while not error and written < 1024:
            error = attempt(file.write, bytes(MB))
            written += not error
        file.truncate(0)
    path.unlink()
    return error, written


def _unmount(path: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.umount2(path.encode(), 2):
        raise OSError(ctypes.get_errno(), path)
