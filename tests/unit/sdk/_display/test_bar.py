"""Progress in one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, suppress
from io import StringIO

import pytest
from cloud._display.bar import Progress, TerminalBar, bar


def all_of(terminal: int) -> str:
    """Return what was written to a terminal whose other side is closed."""
    written = b""
    with suppress(OSError):
        while piece := os.read(terminal, 1000):
            written += piece
    os.close(terminal)
    return written.decode()


@pytest.mark.parametrize(
    ("statuses", "left_s", "text"),
    [
        ({}, None, "1,500/3,000  1:05"),
        ({"done": 1500, "queued": 1500}, 59.9, "1,500/3,000  1,500 queued  1:05, 0:59 left"),
        ({"processing": 2, "queued": 1900}, None, "1,500/3,000  2 processing, 1,498 queued  1:05"),
        (
            {"processing": 2, "waiting": 1, "error": 3, "killed": 1, "stalled": 1},
            3600,
            "1,500/3,000  2 processing, 1 waiting, 5 failed  1:05, 60:00 left",
        ),
    ],
)
def test_a_progress_is_one_line(statuses: dict[str, int], left_s: float | None, text: str) -> None:
    """Ended and all, the others by status, failed ones as one number, times."""
    progress = Progress(ended=1500, total=3000, statuses=statuses, elapsed_s=65, left_s=left_s)

    assert progress.text() == text


def test_pipes_get_no_bar() -> None:
    """Nor programs without standard error."""
    with redirect_stderr(StringIO()):
        assert bar() is None
    with redirect_stderr(None):
        assert bar() is None


def test_a_bar_is_one_line_of_a_terminal() -> None:
    """It is written only when it looks different, never wraps, and leaves nothing."""
    reading, writing = os.openpty()
    progress = Progress(ended=5, total=10, statuses={}, elapsed_s=4, left_s=None)

    with os.fdopen(writing, "w", encoding="utf-8") as stream:
        shown = TerminalBar(stream)
        shown.show(progress)
        shown.show(progress)
        shown.hide()
        shown.hide()
    text = all_of(reading)

    erase = "\r\x1b[2K"
    assert text == f"{erase}{'█' * 15}{'░' * 15}  5/10  0:04\r{erase}"
    assert len(progress.line(20)) == 19


def test_an_ascii_terminal_shows_ascii() -> None:
    """Characters that it cannot show are replaced."""
    reading, writing = os.openpty()

    with os.fdopen(writing, "w", encoding="ascii") as stream:
        TerminalBar(stream).show(Progress(ended=5, total=10, statuses={}, elapsed_s=4, left_s=None))
    text = all_of(reading)

    assert f"{'#' * 15}{'.' * 15}  5/10" in text


NOTEBOOK = """
import json
from IPython.core.displaypub import CapturingDisplayPublisher
from IPython.core.interactiveshell import InteractiveShell

class ZMQInteractiveShell(InteractiveShell):
    pass

shell = ZMQInteractiveShell.instance()
shell.display_pub = CapturingDisplayPublisher()

from cloud._display.bar import Progress, bar

shown = bar()
queued, running = {"queued": 4}, {"processing": 2, "queued": 1}
for ended, statuses in ((0, queued), (0, queued), (1, running)):
    shown.show(Progress(ended=ended, total=4, statuses=statuses, elapsed_s=3, left_s=None))
shown.hide()
outputs = shell.display_pub.outputs
print(json.dumps([[each["update"], each["data"]["text/plain"]] for each in outputs]))
"""


def test_a_notebook_shows_one_line_that_changes() -> None:
    """With the states of the jobs. Nothing is sent if it looks as before; at last it is empty."""
    code = [sys.executable, "-c", NOTEBOOK]

    shown = json.loads(subprocess.run(code, capture_output=True, text=True, check=True).stdout)

    updates, texts = zip(*shown, strict=True)
    assert updates == (False, True, True)
    assert texts[0].endswith("  0/4  4 queued  0:03")
    assert texts[1].endswith("  1/4  2 processing, 1 queued  0:03")
    assert texts[2] == ""
