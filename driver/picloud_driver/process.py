"""Processes of this machine: started, found again after a restart, watched and ended."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import site
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

POLL_S: Final = 0.5
"""How often a process is checked on a system without pidfds."""

_PROC: Final = Path("/proc")
_INHERITED: Final = ("PATH", "LANG", "TZ")


class ProcessSpec(msgspec.Struct, frozen=True):
    """A program to run: its directory, its environment, and the file for its output.

    It inherits only the descriptor of a pipe, whose number is the argument of `--proof-fd`.
    """

    arguments: Sequence[str]
    directory: Path
    environment: Mapping[str, str]
    log: Path


class Process:
    """A process that leads a session, whether it is a child of this process or not.

    A pidfd reports its end and refers to it even after the pid was reused; on a system without
    pidfds the process is checked every 0.5 s.
    """

    __slots__ = ("_descriptor", "_forget", "_status", "birth", "pid")

    def __init__(self, pid: int, birth: str, descriptor: int | None) -> None:
        self.pid = pid
        self.birth = birth
        self._descriptor = descriptor
        self._status: int | None = None
        self._forget: Callable[[], object] | None = None

    @classmethod
    def find(cls, pid: int, birth: str | None = None) -> Process | None:
        """Return the process of a pid, or None if there is none or its birth differs."""
        try:
            descriptor = _open(pid)
        except ProcessLookupError:
            return None
        # Only after opening the pidfd, which cannot refer to another process afterwards.
        present = birth_of(pid)
        if present is None or birth not in (None, present):
            if descriptor is not None:
                os.close(descriptor)
            return None
        return cls(pid, present, descriptor)

    def alive(self) -> bool:
        """Whether it is running."""
        if self._descriptor is not None:
            poll = select.poll()
            poll.register(self._descriptor, select.POLLIN)
            return not poll.poll(0)
        try:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            return _exists(self.pid)
        if ended:
            self._status = os.waitstatus_to_exitcode(status)
        return not ended

    def watch(self, loop: asyncio.AbstractEventLoop, ended: Callable[[], None]) -> None:
        """Call `ended` once, from the loop, when the process has ended."""
        if self._descriptor is not None:
            descriptor = self._descriptor

            def on_end() -> None:
                loop.remove_reader(descriptor)
                ended()

            loop.add_reader(descriptor, on_end)
            self._forget = lambda: loop.remove_reader(descriptor)
            return

        def check() -> None:
            if self.alive():
                self._forget = loop.call_later(POLL_S, check).cancel
            else:
                ended()

        check()

    def status(self) -> int | None:
        """Return its exit status once it has ended, negative for a signal; None for no child.

        This reaps a child, which is a zombie until then.
        """
        if self._descriptor is None:
            return self._status
        with contextlib.suppress(ChildProcessError):
            ended = os.waitid(os.P_PIDFD, self._descriptor, os.WEXITED | os.WNOHANG)
            if ended is not None:
                exited = ended.si_code == os.CLD_EXITED
                self._status = ended.si_status if exited else -ended.si_status
        return self._status

    def terminate(self) -> None:
        """Send SIGTERM to its process group."""
        _kill(self.pid, signal.SIGTERM)

    def destroy(self) -> None:
        """Kill every process of its session.

        Whole groups are killed, so that none of their processes can fork meanwhile.
        """
        for group in _groups(self.pid):
            _kill(group, signal.SIGKILL)

    def close(self) -> None:
        """Stop watching; the process keeps running."""
        if self._forget is not None:
            self._forget()
            self._forget = None
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def spawn(command: ProcessSpec) -> tuple[int, int]:
    """Start a program that inherits only the pipe from which it reads its proof.

    Returns:
        Its pid and the write end of the pipe.
    """
    reading, writing = os.pipe()
    try:
        log = os.open(command.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            child = subprocess.Popen(  # noqa: S603 - no shell, and no part comes from a user
                [*command.arguments, "--proof-fd", str(reading)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(reading,),
                cwd=command.directory,
                env=dict(command.environment),
                start_new_session=True,
            )
        finally:
            os.close(log)
    except BaseException:
        os.close(writing)
        raise
    finally:
        os.close(reading)
    # The pidfd reaps it, and it may outlive this process: Popen shall neither wait nor warn.
    child.returncode = 0
    return child.pid, writing


def slot_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that a slot needs to find programs and to show text and time.

    >>> "AWS_SECRET_ACCESS_KEY" in slot_environment({"AWS_SECRET_ACCESS_KEY": "x"})
    False
    """
    kept = {"PATH": os.defpath, "LANG": "C.UTF-8"}
    kept |= {name: environment[name] for name in _INHERITED if name in environment}
    if site.ENABLE_USER_SITE and site.USER_BASE:
        # A slot has another HOME, below which Python would look for `pip install --user`.
        kept["PYTHONUSERBASE"] = site.USER_BASE
    return kept


def describe_status(status: int | None) -> str:
    """Describe how a process ended.

    >>> describe_status(-9)
    'signal 9 (Killed)'
    """
    if status is None:
        return "exit status unknown, as an earlier server process started it"
    if status < 0:
        return f"signal {-status} ({signal.strsignal(-status)})"
    return f"exit status {status}"


def birth_of(pid: int) -> str | None:
    """Return what tells a process from others with its pid; None if it does not exist.

    >>> birth_of(os.getpid()) == birth_of(os.getpid()), birth_of(2**22 + 1)
    (True, None)
    """
    if not _has_proc():
        return _birth_by_ps(pid)
    fields = _fields(pid)
    if fields is None:
        return None
    # The 20th counts clock ticks since boot, so the boot is named, too.
    boot = (_PROC / "sys" / "kernel" / "random" / "boot_id").read_text().strip()
    return f"{boot}:{fields[19].decode()}"


def _has_proc() -> bool:
    return (_PROC / "self" / "stat").exists()


def _fields(pid: int) -> list[bytes] | None:
    """Return the fields of /proc/<pid>/stat from the state on; None if there is no such process."""
    try:
        stat = (_PROC / str(pid) / "stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # Before them is its name in parentheses, which may contain anything.
    return stat.rpartition(b")")[2].split()


def _birth_by_ps(pid: int) -> str | None:
    listed = subprocess.run(  # noqa: S603
        ["ps", "-o", "lstart=", "-p", str(pid)],  # noqa: S607
        env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
        capture_output=True,
        text=True,
        check=False,
    )
    return listed.stdout.strip() or None


def _open(pid: int) -> int | None:
    if not hasattr(os, "pidfd_open"):
        return None
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        raise
    except (NotImplementedError, PermissionError):
        return None  # an old container runtime's system call filter forbids it


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    # A dead process keeps its pid until its new parent reaps it.
    fields = _fields(pid)
    return not _has_proc() or (fields is not None and fields[0] not in (b"Z", b"X"))


def _kill(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _groups(session: int) -> set[int]:
    groups = {session}
    if _has_proc():
        for entry in os.listdir(_PROC):  # noqa: PTH208 - hundreds of entries
            if entry.isdigit():
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    if os.getsid(int(entry)) == session:
                        groups.add(os.getpgid(int(entry)))
    return groups
