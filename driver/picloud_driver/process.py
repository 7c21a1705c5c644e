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
"""How often to look at a process where the system cannot tell of its end."""

_PROC: Final = Path("/proc")
_INHERITED: Final = ("PATH", "LANG", "TZ")


class ProcessSpec(msgspec.Struct, frozen=True):
    """A program to run: in which directory, with which environment, and where its output goes.

    The only descriptor it inherits is that of a pipe; its number follows `--proof-fd`.
    """

    arguments: Sequence[str]
    directory: Path
    environment: Mapping[str, str]
    log: Path


class Process:
    """A process that leads a session, be it a child of this process or not.

    Its end is told by a pidfd, which stays its own when the pid is given to another process; where
    the system has none, it is looked for every 0.5 s.
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
        """The process of a pid, or None when there is none or one of another birth."""
        try:
            descriptor = _open(pid)
        except ProcessLookupError:
            return None
        # Only after opening: what the pidfd refers to cannot change between the two.
        found = birth_of(pid)
        if found is None or birth not in (None, found):
            if descriptor is not None:
                os.close(descriptor)
            return None
        return cls(pid, found, descriptor)

    def alive(self) -> bool:
        """Whether it still runs."""
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

            def tell() -> None:
                loop.remove_reader(descriptor)
                ended()

            loop.add_reader(descriptor, tell)
            self._forget = lambda: loop.remove_reader(descriptor)
            return

        def look() -> None:
            if self.alive():
                self._forget = loop.call_later(POLL_S, look).cancel
            else:
                ended()

        look()

    def status(self) -> int | None:
        """Its exit status once it has ended, negative for a signal; None for no child of ours.

        A child is a zombie until its status was asked for.
        """
        if self._descriptor is None:
            return self._status
        with contextlib.suppress(ChildProcessError):
            told = os.waitid(os.P_PIDFD, self._descriptor, os.WEXITED | os.WNOHANG)
            if told is not None:
                exited = told.si_code == os.CLD_EXITED
                self._status = told.si_status if exited else -told.si_status
        return self._status

    def terminate(self) -> None:
        """Ask its process group to end."""
        _kill(self.pid, signal.SIGTERM)

    def destroy(self) -> None:
        """Kill whatever is left of its session: it, and every process below it that stayed there.

        Groups are killed and not single processes, so that none of them can fork meanwhile.
        """
        for group in _groups(self.pid):
            _kill(group, signal.SIGKILL)

    def close(self) -> None:
        """Stop watching; the process goes on."""
        if self._forget is not None:
            self._forget()
            self._forget = None
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def spawn(command: ProcessSpec) -> tuple[int, int]:
    """Start a program that inherits nothing but the pipe it is to read its proof from.

    Returns:
        Its pid and the pipe's end to write to.
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
    # It is reaped by its pidfd and may outlive this process: Popen shall neither wait nor warn.
    child.returncode = 0
    return child.pid, writing


def slot_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Of the server's environment what a slot needs to find programs and show text and time.

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
    """How a process ended, in words.

    >>> describe_status(-9)
    'signal 9 (Killed)'
    """
    if status is None:
        return "exit status unknown, as an earlier server process started it"
    if status < 0:
        return f"signal {-status} ({signal.strsignal(-status)})"
    return f"exit status {status}"


def birth_of(pid: int) -> str | None:
    """What tells a process from all others that had or will have its pid; None if it is gone.

    >>> birth_of(os.getpid()) == birth_of(os.getpid()), birth_of(2**22 + 1)
    (True, None)
    """
    if not _has_proc():
        return _birth_by_ps(pid)
    fields = _fields(pid)
    if fields is None:
        return None
    # The 20th counts clock ticks since the machine began to run, so that the run is named too.
    boot = (_PROC / "sys" / "kernel" / "random" / "boot_id").read_text().strip()
    return f"{boot}:{fields[19].decode()}"


def _has_proc() -> bool:
    return (_PROC / "self" / "stat").exists()


def _fields(pid: int) -> list[bytes] | None:
    """What /proc tells of a process, from its state on; None if it is gone."""
    try:
        stat = (_PROC / str(pid) / "stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # Before that stands its name in parentheses, and that may hold anything.
    return stat.rpartition(b")")[2].split()


def _birth_by_ps(pid: int) -> str | None:
    told = subprocess.run(  # noqa: S603
        ["ps", "-o", "lstart=", "-p", str(pid)],  # noqa: S607
        env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
        capture_output=True,
        text=True,
        check=False,
    )
    return told.stdout.strip() or None


def _open(pid: int) -> int | None:
    if not hasattr(os, "pidfd_open"):
        return None
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        raise
    except (NotImplementedError, PermissionError):
        return None  # forbidden by an old container runtime's system call filter


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    # Of a dead process whose new parent is slow to ask for its status the pid is left.
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
