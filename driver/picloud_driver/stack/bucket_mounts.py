"""The process that mounts buckets in the containers of this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from picloud_driver import disk
from picloud_driver.stack import records

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_END_S: Final = 5.0
_INHERITED: Final = ("PATH", "HOME", "TMPDIR", "LANG")


class BucketMounts:
    """Runs that process as long as the stack is used by this one; mounts outlive both.

    Args:
        log: The file for its errors.
        environment: Variables that it needs some of.
    """

    def __init__(self, log: Path, environment: Mapping[str, str]) -> None:
        self._log = log
        self._variables = {name: environment[name] for name in _INHERITED if name in environment}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, slots: Path) -> None:
        """Start it unless it runs, or this user may not mount anything.

        Args:
            slots: The directory of Nomad that holds a directory for each slot.

        Raises:
            StackFault: When the log cannot be written.
        """
        if os.geteuid() or (self._process and self._process.poll() is None):
            return
        self.stop()
        module = ["-P", "-m", "picloud_worker.mount.machine"]
        with records.disk_faults(self._log):
            disk.private_directory(self._log.parent)
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(  # noqa: S603 - no part comes from a user
                    [sys.executable, *module, "--slots", str(slots)],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    env=self._variables,
                    start_new_session=True,
                )

    def ended(self) -> list[str]:
        """Return what it is called if it was started and has ended by itself."""
        has_ended = self._process is not None and self._process.poll() is not None
        return ["the process that mounts buckets"] if has_ended else []

    def stop(self) -> None:
        """End it, if it runs."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin:
            process.stdin.close()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
