"""The progress bar."""

from __future__ import annotations

from picloud import progress


def test_in_a_pipe_there_is_no_bar() -> None:
    """Standard error of a test is not a terminal."""
    with progress.shown(5) as on_progress:
        assert on_progress is None
