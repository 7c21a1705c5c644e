"""Mount namespaces: what a process mounts in its own ends with it, and is seen by no other."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_NEW_NAMESPACE: Final = 0x00020000
_NEW_USER: Final = 0x10000000
_NEW_NETWORK: Final = 0x40000000
_READ_ONLY: Final = 0x1
_NO_SUID: Final = 0x2
_NO_DEVICES: Final = 0x4
_REMOUNT: Final = 0x20
_BIND: Final = 0x1000
_RECURSIVE: Final = 0x4000
_SLAVE: Final = 0x80000
_DETACH: Final = 0x2
_NO_FOLLOW: Final = 0x8
_OPEN_TREE: Final = 428  # on all kinds of machines
_MOVE_MOUNT: Final = 429
_CLONE_TREE: Final = 0x1
_CLOSE_ON_EXEC: Final = 0x80000
_EMPTY_PATH: Final = 0x1000
_MOVE_FROM_OPENED: Final = 0x4
_MOVE_TO_OPENED: Final = 0x40
_TMPFS: Final = 0x01021994
_STATFS_BYTES: Final = 512
"""More than any system writes; the first number is the kind of the file system."""
_ROOT: Final = 0
_DOCKER_DNS: Final = b"nameserver 127.0.0.11\n"


def enter() -> bool:
    """Give this process, which has one thread, a mount namespace; return whether it has one.

    Root needs nothing else. Another user becomes the owner of a user namespace, where systems allow
    that; containers do not. What is mounted outside later is seen, if it is shared there.
    """
    if sys.platform != "linux":
        return False
    uid, gid = os.geteuid(), os.getegid()
    own = 0 if uid == _ROOT else _NEW_USER
    try:
        _call("unshare", _NEW_NAMESPACE | own)
        if own:
            process = Path("/proc/self")
            (process / "setgroups").write_text("deny", encoding="ascii")
            (process / "uid_map").write_text(f"{uid} {uid} 1", encoding="ascii")
            (process / "gid_map").write_text(f"{gid} {gid} 1", encoding="ascii")
        _call("mount", None, b"/", None, _RECURSIVE | _SLAVE, None)
    except OSError:
        return False
    return True


def join(target: int) -> None:
    """Give this process, which has one thread, the mount namespace of another one.

    Args:
        target: A descriptor of the namespace.

    Raises:
        OSError: When the system refuses.
    """
    _call("setns", target, _NEW_NAMESPACE)


def join_network(target: int) -> None:
    """Give this process, which has one thread, the network namespace of a container of docker.

    Names of hosts are looked up there as in the container, if this process may.

    Args:
        target: A descriptor of the namespace; it is closed.

    Raises:
        OSError: When the system refuses.
    """
    try:
        _call("setns", target, _NEW_NETWORK)
    finally:
        os.close(target)
    if enter():
        servers = os.memfd_create("resolv.conf")
        os.write(servers, _DOCKER_DNS)
        with contextlib.suppress(OSError):  # addresses are used even so
            _mount_on(f"/proc/self/fd/{servers}", "/etc/resolv.conf", _BIND)


def call_in(target: int, function: Callable[[], None]) -> None:
    """Call a function in a forked process that has joined a mount namespace.

    Args:
        target: A descriptor of the namespace.
        function: What to do there. No `/proc` there shows that process.

    Raises:
        OSError: When the system refuses, or from the function.
    """
    pid = os.fork()
    if pid == 0:
        number = 1
        try:
            join(target)
            function()
            number = 0
        except OSError as error:
            number = error.errno or 1
        finally:
            os._exit(number)
    _, status = os.waitpid(pid, 0)
    number = os.waitstatus_to_exitcode(status)
    if number:
        raise OSError(number, os.strerror(number) if number > 0 else "it was killed")


def make_root_writable() -> None:
    """Let this process, in a mount namespace of its own from now on, write to its root directory.

    Raises:
        OSError: When the system refuses.
    """
    _call("unshare", _NEW_NAMESPACE)
    _call("mount", None, b"/", None, _RECURSIVE | _SLAVE, None)
    _call("mount", None, b"/", None, _REMOUNT | _BIND, None)


def bind_opened(directory: int, target: int) -> None:
    """Mount a directory on another one, both of which are open for this process.

    Raises:
        OSError: When the system refuses.
    """
    flags = _CLONE_TREE | _CLOSE_ON_EXEC | _EMPTY_PATH
    tree = _call("syscall", _OPEN_TREE, directory, b"", flags)
    _call("syscall", _MOVE_MOUNT, tree, b"", target, b"", _MOVE_FROM_OPENED | _MOVE_TO_OPENED)
    os.close(tree)


def is_in_memory(descriptor: int) -> bool:
    """Whether an opened file or directory is in a tmpfs."""
    found = ctypes.create_string_buffer(_STATFS_BYTES)
    _call("fstatfs", descriptor, found)
    return int.from_bytes(found.raw[: ctypes.sizeof(ctypes.c_long)], sys.byteorder) == _TMPFS


def unmount(path: str) -> None:
    """Unmount what is mounted at a path; programs that use it keep what they have open.

    Raises:
        OSError: When nothing is.
    """
    _call("umount2", os.fsencode(path), _DETACH | _NO_FOLLOW)


def join_process(pid: int) -> None:
    """Give this process, which has one thread, the user and mount namespaces of another one.

    Rights that come with a user namespace end when the process executes a program.

    Raises:
        OSError: When the system refuses, or the other process has ended.
    """
    joined = []
    for kind, flag in (("user", _NEW_USER), ("mnt", _NEW_NAMESPACE)):
        target = os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY)
        if os.path.sameopenfile(target, own := os.open(f"/proc/self/ns/{kind}", os.O_RDONLY)):
            os.close(target)
        else:
            joined.append((target, flag))
        os.close(own)
    for target, flag in joined:
        _call("setns", target, flag)
        os.close(target)


def mount_fuse(source: str, target: str, kind: str, options: str) -> None:
    """Mount a file system that a process serves.

    What was mounted there before stays below, so that no program finds the directory of the
    machine for a moment.

    Args:
        source: Its name in the list of mounts.
        target: The mount point.
        kind: Like "fuse.bucket".
        options: With the descriptor of the opened device.

    Raises:
        OSError: When the system refuses.
    """
    flags = _NO_SUID | _NO_DEVICES
    _call("mount", source.encode(), os.fsencode(target), kind.encode(), flags, options.encode())


def bind(directories: Mapping[str, str], work: Path) -> None:
    """Mount directories at the paths that they are given for, in the namespace of this process.

    A missing mount point is made. Where this user may not, or in the root directory, the directory
    above it is replaced, for this process, by a read-only one with the same content.

    Args:
        directories: The directories by mount path.
        work: An empty directory.

    Raises:
        OSError: When the system refuses.
    """
    where = Path.cwd()
    for path in directories:
        if not Path(path).is_dir():
            _make(Path(path), work)
    # Opened first, as the mount of one may hide the next.
    held = [os.open(each, os.O_PATH | os.O_DIRECTORY) for each in directories.values()]
    try:
        for path, descriptor in zip(directories, held, strict=True):
            _mount_on(f"/proc/self/fd/{descriptor}", path, _BIND)
    finally:
        for descriptor in held:
            os.close(descriptor)
        with contextlib.suppress(OSError):
            os.chdir(where)


def _make(path: Path, work: Path) -> None:
    """Make a mount point."""
    above = path.parent
    while not above.is_dir():
        above = above.parent
    if above != above.parent and os.access(above, os.W_OK):
        path.mkdir(parents=True)
    elif above == above.parent:
        _replace_root(path, work)
    else:
        _replace(above, path)


def _replace(above: Path, path: Path) -> None:
    """Make a mount point in a new directory, with all that is in the old one."""
    hidden = os.open(above, os.O_PATH | os.O_DIRECTORY)
    try:
        _call("mount", b"tmpfs", bytes(above), b"tmpfs", 0, b"mode=0755")
        _copy_mounts(Path(f"/proc/self/fd/{hidden}"), above)
    finally:
        os.close(hidden)
    path.mkdir(parents=True)
    _protect(above)


def _replace_root(path: Path, work: Path) -> None:
    """Make a mount point in a new root directory, with all that is in the old one."""
    _call("mount", b"tmpfs", bytes(work), b"tmpfs", 0, b"mode=0755")
    old, new = work / "old", work / "new"
    old.mkdir()
    new.mkdir()
    _call("mount", b"tmpfs", bytes(new), b"tmpfs", 0, b"mode=0755")
    _pivot(work, old)
    old, new = Path("/old"), Path("/new")
    _copy_mounts(old, new)
    Path(f"{new}{path}").mkdir(parents=True)
    _protect(new)
    os.chdir(new)
    _pivot(Path(), Path())
    _call("umount2", b".", _DETACH)
    os.chdir("/")


def _copy_mounts(old: Path, new: Path) -> None:
    """Bind everything in a directory to the same name in another one."""
    for source in old.iterdir():
        target = new / source.name
        if source.is_symlink():
            target.symlink_to(source.readlink())
        elif source.is_dir():
            target.mkdir()
            _mount_on(str(source), str(target), _BIND | _RECURSIVE)
        else:
            target.touch()
            _mount_on(str(source), str(target), _BIND)


def _protect(path: Path) -> None:
    """Make a directory read-only, lest a job writes files that end with it."""
    _call("mount", None, bytes(path), None, _REMOUNT | _BIND | _READ_ONLY, None)


def _pivot(new: Path, old: Path) -> None:
    number = {"x86_64": 155, "aarch64": 41, "riscv64": 41}.get(os.uname().machine)
    if number is None:
        raise OSError(f"pivot_root is not known on {os.uname().machine}")
    _call("syscall", ctypes.c_long(number), bytes(new), bytes(old))
    if new != Path():
        os.chdir("/")


def _mount_on(source: str, target: str, flags: int) -> None:
    _call("mount", os.fsencode(source), os.fsencode(target), None, flags, None)


def _call(name: str, *arguments: object) -> int:
    """Call a function of the C library, and return what it returns.

    Raises:
        OSError: When it fails.
    """
    function = getattr(ctypes.CDLL(None, use_errno=True), name)
    words = [ctypes.c_ulong(each) if isinstance(each, int) else each for each in arguments]
    result: int = function(*words)
    if result == -1:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")
    return result
