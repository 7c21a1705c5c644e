"""The log of a server whose disk is full."""

from __future__ import annotations

import errno
import io
from typing import TYPE_CHECKING, cast

import structlog
from picloud_api.server.log_stream import LogStream

if TYPE_CHECKING:
    from pathlib import Path
    from typing import TextIO


class Full(io.StringIO):
    """A file whose disk is full at first."""

    is_full = True

    def write(self, text: str) -> int:
        """Write, if there is space."""
        if self.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(text)

    def flush(self) -> None:
        """Flush, if there is space."""
        if self.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_fails_no_request() -> None:
    """A line that cannot be written is dropped, and later ones are written again."""
    file = Full()
    log = structlog.PrintLogger(cast("TextIO", LogStream(file)))

    log.msg("dropped")
    file.is_full = False
    log.msg("written")

    assert file.getvalue() == "written\n"


def test_lines_are_written(tmp_path: Path) -> None:
    """And are in the file at once."""
    file = tmp_path / "server.log"
    with file.open("w", encoding="utf-8") as stream:
        structlog.PrintLogger(cast("TextIO", LogStream(stream))).msg("ready")

        assert file.read_text() == "ready\n"
