"""The process that mounts buckets in the containers of this machine."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Final

from picloud_driver import disk
from picloud_driver.stack import records
from picloud_driver.stack.faults import StackFault
from picloud_driver.stack.termination import terminate

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from picloud_driver.stack.records import ProcessRecord

_INHERITED: Final = ("PATH", "HOME", "TMPDIR", "LANG")
_MODULE: Final = ("-P", "-m", "picloud_worker.mount.machine")


class BucketMounts:
    """Runs that process from the start of a stack to its end; mounts outlive it.

    As with the servers of the stack, a record says which process it is: a command that returns
    once the stack is ready leaves it to later ones.

    Args:
        folder: The directory of the stack, for its record and the file for its errors.
        environment: Variables that it needs some of.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._file = folder / "mounts.json"
        self._log = folder / "mounts.log"
        self._variables = {name: environment[name] for name in _INHERITED if name in environment}
        self._is_used = False
        self._has_started = False

    def start(self, slots: Path) -> None:
        """Start it unless it runs, or this user may not mount anything.

        Args:
            slots: The directory of Nomad that holds a directory for each slot.

        Raises:
            StackFault: When the record or the log cannot be written.
        """
        if os.geteuid():
            return
        self._is_used = True
        if self._record().is_running():
            return
        self._has_started = True
        with records.disk_faults(self._log):
            disk.private_directory(self._log.parent)
            command = [sys.executable, *_MODULE, "--slots", str(slots)]
            records.spawn(self._file, self._record(), command, self._log, self._variables)

    def ended(self) -> list[str]:
        """Return what it is called if it is used and has ended by itself."""
        has_ended = self._is_used and not self._record().is_running()
        return ["the process that mounts buckets"] if has_ended else []

    def undo(self) -> None:
        """End it if `start` has started it."""
        if self._has_started:
            self.stop()

    def stop(self) -> list[str]:
        """End it, if it runs; return a message if that fails."""
        self._is_used = self._has_started = False
        try:
            process = self._record().process()
            if process is not None:
                with contextlib.closing(process):
                    terminate(process)
        except StackFault as fault:
            return [fault.message]
        self._file.unlink(missing_ok=True)
        return []

    def _record(self) -> ProcessRecord:
        advice = "end the process that it names, if it is running, and remove it"
        return records.read(self._file, records.ProcessRecord, advice) or records.ProcessRecord()
