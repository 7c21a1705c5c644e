"""What the kernel keeps for a process, and jobs may change: directory, limits, timers, signals."""

from __future__ import annotations

# What `signal` shows: to make enum members of its handlers takes 17 microseconds there.
import _signal  # type: ignore[import-not-found]
import os
import signal
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from picloud_worker.restore.process_state import NotRestoredError, Setting

if TYPE_CHECKING:
    from collections.abc import Callable

_SIGNALS: Final = range(1, getattr(signal, "SIGRTMIN", signal.NSIG))
_TIMERS: Final = {
    "alarm": signal.ITIMER_REAL,
    "virtual timer": signal.ITIMER_VIRTUAL,
    "profiling timer": signal.ITIMER_PROF,
}
_LIMITS: Final = ("AS", "CPU", "DATA", "FSIZE", "NOFILE", "NPROC", "STACK")


def kernel_settings(rearm: Callable[[], None]) -> list[Setting]:
    """Return the settings of this process; those the system does not have are left out.

    Args:
        rearm: Called when signal handlers were restored, for those that Python does not know of.
    """
    found = [
        Setting("working directory", os.getcwd, os.chdir),
        Setting("umask", _umask, os.umask),
        Setting("user", _user, _refuse),
        Setting(
            "signal handlers",
            lambda: (*map(_signal.getsignal, _SIGNALS),),
            partial(_set_handlers, rearm),
        ),
        Setting(
            "blocked signals",
            partial(_signal.pthread_sigmask, signal.SIG_BLOCK, ()),
            partial(_signal.pthread_sigmask, signal.SIG_SETMASK),
        ),
        Setting("signal wake-up", _wakeup, silent=True, resets=True),
    ]
    found += [
        Setting(name, partial(signal.setitimer, timer, 0.0), resets=True)
        for name, timer in _TIMERS.items()
    ]
    found.append(Setting("niceness", partial(os.getpriority, os.PRIO_PROCESS, 0), _set_niceness))
    if hasattr(os, "sched_getaffinity"):
        found.append(
            Setting(
                "CPU affinity", partial(os.sched_getaffinity, 0), partial(os.sched_setaffinity, 0)
            )
        )
    return found + _limits()


def _limits() -> list[Setting]:
    import resource  # noqa: PLC0415 - not every system has it, and supervisors do without

    kinds = {name: getattr(resource, f"RLIMIT_{name}", None) for name in _LIMITS}
    return [
        Setting(
            f"limit {name}",
            partial(resource.getrlimit, kind),
            partial(resource.setrlimit, kind),
        )
        for name, kind in kinds.items()
        if kind is not None
    ]


def _umask() -> int:
    os.umask(mask := os.umask(0o77))
    return mask


def _user() -> tuple[int, int]:
    return os.geteuid(), os.getegid()


def _wakeup() -> int:
    return signal.set_wakeup_fd(-1)


def _set_handlers(rearm: Callable[[], None], handlers: tuple[Any, ...]) -> None:
    for number, handler in zip(_SIGNALS, handlers, strict=True):
        if handler is not None and _signal.getsignal(number) != handler:
            signal.signal(number, handler)
    rearm()


def _set_niceness(niceness: int) -> None:
    os.setpriority(os.PRIO_PROCESS, 0, niceness)


def _refuse(_: object) -> None:
    raise NotRestoredError
