"""Restores what a job has changed in its process, so that the next job there finds it as it was.

Everything is compared with its value before the first job: microseconds, where nothing changed. The
tables of what is compared are `kernel_settings` and `interpreter_settings`.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from picloud_worker.restore.import_changes import with_changes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


_UNREADABLE: Final = object()
"""The value of a setting that cannot be read."""


def nothing(_: object) -> None:
    """Change a setting that was reset when it was read."""


class Setting(NamedTuple):
    """Something a process has one of: what it is called, how it is read, and how set.

    Values are compared: in a tuple each place is a value of its own, and a list may grow. `change`
    is given the value before the first job, and raises what it likes where that cannot be had
    again. A `silent` setting is restored without a word, as it is changed by much that does not
    count as a change. One that `resets` is reset when it is read.
    """

    name: str
    read: Callable[[], Any]
    change: Callable[[Any], object] = nothing
    silent: bool = False
    resets: bool = False


class NotRestoredError(Exception):
    """A setting that cannot have its former value again."""


class ProcessState:
    """The settings of a process as they are before its first job."""

    def __init__(self, settings: Iterable[Setting]) -> None:
        self._settings = tuple(settings)
        self._reads = tuple(setting.read for setting in self._settings)
        self._before: list[Any] = []
        self.accept()

    def accept(self) -> None:
        """Take the settings as they are now for those to restore."""
        self._before = [read() for read in self._reads]

    def snapshot(self) -> list[Any]:
        """Return the settings in the middle of a job."""
        return [None if setting.resets else _value(setting) for setting in self._settings]

    def keep_changes(self, snapshot: list[Any]) -> None:
        """Have what changed since a snapshot stay, and nothing that the job had changed before."""
        values = zip(self._before, snapshot, self.snapshot(), strict=True)
        for number, (before, earlier, later) in enumerate(values):
            # What cannot be read or compared was put there by the job.
            if earlier is not _UNREADABLE and later is not _UNREADABLE:
                with suppress(Exception):
                    self._before[number] = with_changes(before, earlier, later)

    def restore(self) -> tuple[list[str], list[str]]:
        """Set what has changed to its former value.

        Returns:
            The names of the settings that were restored, and of those that could not be.
        """
        now = self._read()
        # All at once, as most jobs change nothing: one by one it takes 4 microseconds more.
        if _equal(now, self._before):
            return [], []
        restored: list[str] = []
        lost: list[str] = []
        for setting, value, before in zip(self._settings, now, self._before, strict=True):
            # What was restored before it may have restored it, too.
            if _equal(value if setting.resets else _value(setting), before):
                continue
            if not _restored(setting, before):
                lost.append(setting.name)
            elif not setting.silent:
                restored.append(setting.name)
        return restored, lost

    def _read(self) -> list[Any]:
        """Return the settings as they are now."""
        now: list[Any] = []
        for read in self._reads:
            try:
                now.append(read())
            except Exception:  # noqa: BLE001 - a job may have put anything there
                now.append(_UNREADABLE)
        return now


def _equal(now: Any, before: Any) -> bool:
    try:
        return bool(now == before)
    except Exception:  # noqa: BLE001 - a job may have put there what cannot be compared
        return False


def _restored(setting: Setting, before: Any) -> bool:
    try:
        setting.change(before)
        return bool(setting.read() == before)
    except Exception:  # noqa: BLE001 - whatever the reason: this process is not as it was
        return False


def _value(setting: Setting) -> Any:
    try:
        return setting.read()
    except Exception:  # noqa: BLE001 - a job may have put anything there
        return _UNREADABLE
