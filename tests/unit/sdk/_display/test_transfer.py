"""A transfer shows how many bytes have arrived."""

from __future__ import annotations

from typing import Any

from cloud._display.transfer import DRAW_S, TransferDisplay, transfer_shown


class Drawn:
    """A bar that remembers what it showed."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def show(self, progress: Any) -> None:
        """Show a progress."""
        self.lines.append(progress.line())

    def pause(self) -> None:
        """Make way."""

    def hide(self) -> None:
        """Leave no trace of it."""


def test_a_bar_is_drawn_ten_times_a_second() -> None:
    """However many pieces arrive."""
    drawn, times = Drawn(), iter(range(10_000))
    display = TransferDisplay(1_000_000, drawn, lambda: next(times) * DRAW_S / 99)

    for _ in range(1000):
        display.advance(1000)

    assert len(drawn.lines) == 10
    assert drawn.lines[-1].endswith(" MB/s")


def test_a_pipe_shows_nothing() -> None:
    """Standard error of a test is not a terminal."""
    with transfer_shown(10) as advance:
        advance(5)
