"""Progress in one line."""

from __future__ import annotations

from contextlib import redirect_stderr
from io import StringIO

import pytest
from cloud._display.bar import Progress, bar


@pytest.mark.parametrize(
    ("statuses", "left_s", "text"),
    [
        ({}, None, "1,500/3,000  1:05"),
        ({"done": 1500, "queued": 1500}, 59.9, "1,500/3,000  1,500 queued  1:05, 0:59 left"),
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

    assert progress.counts() == text


def test_pipes_get_no_bar() -> None:
    """Nor programs without standard error."""
    with redirect_stderr(StringIO()):
        assert bar() is None
    with redirect_stderr(None):
        assert bar() is None
