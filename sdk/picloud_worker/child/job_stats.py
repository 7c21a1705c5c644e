"""Records what a job used and wrote, for the report of how it ended. Runs in the child.

A job that is quick and silent costs five quick system calls here, and no byte.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import sys
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final

from picloud_worker.ipc.frames import JobStats

if TYPE_CHECKING:
    from picloud_worker.child.runner import Runner

WORTH_S: Final = 0.01
"""A silent job shorter than this leaves no stats if another in its assignment does: measuring it
would take longer than it."""

_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_KILOBYTE: Final = 1 if sys.platform == "darwin" else 1024
_FRESH_PEAK: Final = b"5"

Ends = tuple[int, int, int]
"""How long the files of stdout, stderr and the log are."""


class LogHandler(logging.Handler):
    """Appends each record to a file, by descriptor."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self.descriptor = descriptor
        self.wrote = False
        self.setFormatter(logging.Formatter(_FORMAT))

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        try:
            line = self.format(record) + "\n"
            os.write(self.descriptor, line.encode(errors="backslashreplace"))
            self.wrote = True
        except Exception:  # noqa: BLE001 - as every handler: it may not harm who logs
            self.handleError(record)


class StatsRecorder:
    """Takes notes in one child.

    Args:
        log: Descriptor of the file that takes what `logging` receives.
    """

    def __init__(self, log: int) -> None:
        self._handler = LogHandler(log)
        root = logging.getLogger()
        root.addHandler(self._handler)
        root.setLevel(logging.DEBUG)
        self._root = root
        # A job may put other files in their place, or close them; these stay.
        self._out, self._err = os.dup(1), os.dup(2)
        self._ends: Ends = (0, 0, 0)
        self._log_end = 0
        self._forked = False
        os.register_at_fork(after_in_parent=self._fork)
        import resource  # noqa: PLC0415 - not every system has it, and supervisors do without

        self._own = partial(resource.getrusage, resource.RUSAGE_SELF)
        self._waited = partial(resource.getrusage, resource.RUSAGE_CHILDREN)
        self._before, self._children = self._own(), self._waited()

    def begin(self) -> tuple[float, float]:
        """Begin a job; return the CPU used before it, in user space and in the kernel."""
        if self._handler not in self._root.handlers:
            self._root.addHandler(self._handler)
        self._before = now = self._own()
        waited = self._children
        return now.ru_utime + waited.ru_utime, now.ru_stime + waited.ru_stime

    def ends(self) -> Ends:
        """How long the files are now; whatever the job put in their place, the next job has them.

        To look whether it did would cost more than to do it: `fstat` takes four times an `lseek`.
        """
        flush_c()
        os.dup2(self._out, 1)
        os.dup2(self._err, 2)
        if self._handler.wrote or self._forked:
            # A process that a job forked logs to the same file, and tells nobody.
            self._log_end = os.lseek(self._handler.descriptor, 0, os.SEEK_END)
            self._handler.wrote = False
        return (
            os.lseek(self._out, 0, os.SEEK_END),
            os.lseek(self._err, 0, os.SEEK_END),
            self._log_end,
        )

    def stats(self, runner: Runner, remarks: list[str], *, wanted: bool) -> JobStats | None:
        """Return the statistics of the job that ended just now; never None if `wanted`."""
        ends = self.ends()
        silent = ends == self._ends and runner.profile is None and not remarks
        if silent and not wanted:
            return None
        self._ends = ends
        before, children = self._before, self._children
        after = self._own()
        self._children = self._waited()
        profile, runner.profile = runner.profile, None
        return JobStats(
            ends=ends,
            user_s=after.ru_utime - before.ru_utime + self._children.ru_utime - children.ru_utime,
            system_s=after.ru_stime - before.ru_stime + self._children.ru_stime - children.ru_stime,
            peak_bytes=after.ru_maxrss * _KILOBYTE,
            profile=profile,
            remarks=remarks,
        )

    def settle(self, stats: JobStats | None, seconds: float) -> None:
        """After a job that may have used much memory, the next one's peak is counted from now."""
        if stats is not None and seconds >= WORTH_S:
            forget_peak()

    def _fork(self) -> None:
        self._forked = True


def forget_peak() -> None:
    """Let this process's peak of memory begin anew; where that is not possible it stays."""
    with contextlib.suppress(OSError):
        descriptor = os.open("/proc/self/clear_refs", os.O_WRONLY)
        try:
            os.write(descriptor, _FRESH_PEAK)
        finally:
            os.close(descriptor)


def flush_c() -> None:
    """Write out what C code printed: it has a buffer of its own."""
    flush, stdout = _c_stdout()
    if flush is not None:
        flush(stdout)


@cache
def _c_stdout() -> tuple[Any, Any]:
    library = ctypes.CDLL(None)
    name = "__stdoutp" if sys.platform == "darwin" else "stdout"
    try:
        return library.fflush, ctypes.c_void_p.in_dll(library, name)
    except (AttributeError, ValueError):
        return None, None
