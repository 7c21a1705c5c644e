"""Settings that the kernel keeps for a process are read and set back."""

from __future__ import annotations

import os
import resource
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from picloud_worker.restore.kernel_settings import kernel_settings
from picloud_worker.restore.process_state import NotRestoredError

if TYPE_CHECKING:
    from collections.abc import Callable

    from picloud_worker.restore.process_state import Setting


def settings(rearm: Callable[[], None] = lambda: None) -> dict[str, Setting]:
    """Return the settings by name."""
    return {setting.name: setting for setting in kernel_settings(rearm)}


def handle_a_signal() -> None:
    """Handle a signal that nothing here uses."""
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)


def lower_a_limit() -> None:
    """Allow fewer open files than before."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft - 1, hard))


CHANGES: dict[str, Callable[[], Any]] = {
    "working directory": lambda: os.chdir("/"),
    "umask": lambda: os.umask(0o123),
    "signal handlers": handle_a_signal,
    "blocked signals": lambda: signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2]),
    "limit NOFILE": lower_a_limit,
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_seen_and_undone(name: str) -> None:
    """Its value differs after a change, and is the former one once it is set back."""
    setting = settings()[name]
    before = setting.read()

    CHANGES[name]()
    try:
        assert setting.read() != before
    finally:
        setting.change(before)

    assert setting.read() == before


def test_a_timer_is_stopped_when_it_is_read() -> None:
    """No timer of one job goes off in the next."""
    timer = settings()["virtual timer"]
    signal.setitimer(signal.ITIMER_VIRTUAL, 3600)

    assert timer.read() != (0.0, 0.0)
    assert timer.read() == (0.0, 0.0)
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)


def test_handlers_are_armed_again() -> None:
    """What Python knows nothing of is set by the caller after the handlers."""
    calls: list[str] = []
    handlers = settings(lambda: calls.append("rearmed"))["signal handlers"]

    handlers.change(handlers.read())

    assert calls == ["rearmed"]


def test_another_user_is_not_restored() -> None:
    """A process that has changed its user cannot go back."""
    user = settings()["user"]

    with pytest.raises(NotRestoredError):
        user.change(user.read())


def test_settings_are_read_without_an_effect() -> None:
    """The names are unique, and reading twice shows the same."""
    every = kernel_settings(lambda: None)
    found = [setting for setting in every if not setting.resets]

    assert len({setting.name for setting in every}) == len(every)
    assert [setting.read() for setting in found] == [setting.read() for setting in found]
    assert Path.cwd() == Path(settings()["working directory"].read())
