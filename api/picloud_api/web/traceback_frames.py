"""Traceback frames: a remote traceback as text, taken apart so that a page can fold its frames."""

from __future__ import annotations

import re
from typing import Final

import msgspec

_FRAME: Final = re.compile(
    r'  File "(?P<file>[^"\n]*)", line (?P<line>\d+)(?:, in (?P<function>.*))?'
)
_LIBRARY: Final = re.compile(
    r"/(?:site|dist)-packages/|/lib/python3|<frozen |/picloud_\w+/|/cloud/"
)


class TracebackFrame(msgspec.Struct, frozen=True, kw_only=True):
    """A frame of a traceback, or other lines of it; then `file` is empty.

    `is_library` marks frames of installed packages, which readers seldom look into.
    """

    file: str
    line: int
    function: str
    text: str
    is_library: bool


def frames_of(traceback: str) -> list[TracebackFrame]:
    r"""Return the frames of a traceback, and the lines between them, in their order.

    >>> text = 'Traceback:\n  File "/home/me/a.py", line 3, in f\n    1 / 0\nZeroDivisionError'
    >>> [(frame.file, frame.line, frame.function, frame.text) for frame in frames_of(text)]
    [('', 0, '', 'Traceback:'), ('/home/me/a.py', 3, 'f', '    1 / 0'), ('', 0, '', 'ZeroDivisionError')]
    """  # noqa: E501 - one value
    frames: list[TracebackFrame] = []
    head: re.Match[str] | None = None
    lines: list[str] = []

    def end() -> None:
        if head is not None:
            file = head["file"]
            frames.append(
                TracebackFrame(
                    file=file,
                    line=int(head["line"]),
                    function=head["function"] or "",
                    text="\n".join(lines),
                    is_library=_LIBRARY.search(file) is not None,
                )
            )
        elif lines:
            frames.append(
                TracebackFrame(
                    file="", line=0, function="", text="\n".join(lines), is_library=False
                )
            )

    for line in traceback.splitlines():
        matched = _FRAME.fullmatch(line)
        is_outside = head is not None and not line.startswith("    ")
        if matched is not None or is_outside:
            end()
            head, lines = matched, []
        if matched is None:
            lines.append(line)
    end()
    return frames
