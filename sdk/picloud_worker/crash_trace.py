"""Stacks as `faulthandler` writes them when a process crashes, made readable for who wrote the job.

It lists every frame down to the start of the process: those below the job are not its user's.
"""

from __future__ import annotations

import re
from itertools import groupby, zip_longest
from pathlib import Path
from typing import Final

_FRAME: Final = re.compile(r'  File "(?P<file>[^"]*)", line \d+ in ')
_HERE: Final = str(Path(__file__).parent)
_HEAD: Final = " (most recent call first):"
"""What ends the line above the frames of a thread."""
_MODULES: Final = "Extension modules: "
_REPEATED: Final = 3
"""How often the same line is shown in a row."""


def readable(text: str) -> str:
    r"""Return the text with its stacks cut below the job's frames and repeated lines counted.

    Of a thread in which no function of the job's was running nothing is left.

    >>> readable("Current thread 0x1:\n" + 5 * '  File "a.py", line 1 in f\n').splitlines()[-1]
    '  [2 more like it]'
    """
    kept: list[str] = []
    ours = False
    for line, group in groupby(text.splitlines()):
        count = len(list(group))
        frame = _FRAME.match(line)
        ours = frame is not None and (ours or frame["file"].startswith(_HERE))
        if ours or line.startswith(_MODULES):
            continue
        shown = min(count, _REPEATED) if frame else count
        kept += [line] * shown
        if count > shown:
            kept.append(f"  [{count - shown} more like it]")
    shown_lines = [
        line
        for line, after in zip_longest(kept, kept[1:], fillvalue="")
        if not line.endswith(_HEAD) or _FRAME.match(after)
    ]
    return "\n".join(shown_lines).strip("\n")


def without_our_frames(output: bytes) -> bytes:
    """Return what a job wrote to stderr, with the stacks in it made readable."""
    if _HEAD.encode() not in output:
        return output
    text = readable(output.decode(errors="surrogateescape"))
    return f"{text}\n".encode(errors="surrogateescape") if text else b""
