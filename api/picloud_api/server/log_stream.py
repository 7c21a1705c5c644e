"""Where a server writes its log."""

from __future__ import annotations

import io
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO


class LogStream(io.TextIOBase):
    """Writes to another stream, and drops what that cannot take, as where its disk is full.

    Otherwise the log line of a request would make the request fail, after its effect.

    Args:
        stream: The other stream.

    >>> import sys
    >>> LogStream(sys.stdout).write("ready")
    ready5
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write text, if that is possible."""
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush what was written, if that is possible."""
        with suppress(OSError):
            self._stream.flush()
