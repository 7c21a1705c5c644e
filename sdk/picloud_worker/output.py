"""Output: where stdout and stderr of user code go, bounded, with their last lines at hand."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

MOST_BYTES: Final = 1024 * 1024
"""Size at which a file is emptied; what a job writes faster than we look comes on top."""
TAIL_BYTES: Final = 8192
"""A crash in a deep stack takes that much to tell."""


class Output:
    """One stream of a child: a file without a name, appended to by the child."""

    def __init__(self, directory: Path) -> None:
        path = directory / f"output-{secrets.token_hex(8)}"
        # Appending, so that a file we emptied begins at zero again for every process that has it.
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL
        self.descriptor = os.open(path, flags, 0o600)
        path.unlink()
        self._kept = b""

    def bound(self) -> None:
        """Empty the file when it is too large; its end is kept."""
        if os.fstat(self.descriptor).st_size > MOST_BYTES:
            self._kept = self._read()
            os.ftruncate(self.descriptor, 0)

    def tail(self) -> str:
        """The last 8 KB written."""
        return self._read().decode(errors="replace")

    def close(self) -> None:
        """Let go of the file."""
        os.close(self.descriptor)

    def _read(self) -> bytes:
        size = os.fstat(self.descriptor).st_size
        end = os.pread(self.descriptor, TAIL_BYTES, max(0, size - TAIL_BYTES))
        return (self._kept + end)[-TAIL_BYTES:]
