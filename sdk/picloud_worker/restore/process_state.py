"""Restores what a job has changed in its process, so that the next job there finds it as it was.

Everything is compared with its value before the first job: microseconds, where nothing changed. The
tables of what is compared are `kernel_settings` and `interpreter_settings`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def nothing(_: object) -> None:
    """Change a setting that was reset when it was read."""


class Setting(NamedTuple):
    """Something a process has one of: what it is called, how it is read, and how set.

    Values are compared; `change` is given the one before the first job, and raises what it likes
    where that cannot be had again. A `silent` one is restored without a word, as it is changed by
    much that does not count as a change. One that `resets` is reset when it is read.
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
        self._known: list[tuple[Setting, Callable[[], Any], Any]] = []
        self.accept()

    def accept(self) -> None:
        """Take the settings as they are now for those to restore."""
        self._known = [(setting, setting.read, setting.read()) for setting in self._settings]

    def snapshot(self) -> list[Any]:
        """Return the settings in the middle of a job."""
        return [None if setting.resets else _value(setting) for setting in self._settings]

    def keep_changes(self, snapshot: list[Any]) -> None:
        """Have what changed since a snapshot stay, unless the job had changed the same before."""
        for number, (earlier, later) in enumerate(zip(snapshot, self.snapshot(), strict=True)):
            setting, read, before = self._known[number]
            if later != earlier and earlier == before:
                self._known[number] = (setting, read, later)

    def restore(self) -> tuple[list[str], list[str]]:
        """Set what has changed to its former value.

        Returns:
            The names of the settings that were restored, and of those that could not be.
        """
        restored: list[str] = []
        lost: list[str] = []
        for setting, read, before in self._known:
            try:
                now = read()
                if now is before or now == before:
                    continue
            except Exception:  # noqa: BLE001, S110 - a job may have put anything there: so it did
                pass
            if not _restored(setting, before):
                lost.append(setting.name)
            elif not setting.silent:
                restored.append(setting.name)
        return restored, lost


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
        return None
