"""A watch shows how far a wait is, and never disturbs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cloud._display.wait_display import WaitDisplay
from cloud.errors import CloudException

from tests.polling import until

if TYPE_CHECKING:
    from cloud._display.bar import Progress


class ShownBar:
    """A bar that remembers what it showed."""

    def __init__(self) -> None:
        self.shown: list[Progress] = []
        self.visible = False

    def show(self, progress: Progress) -> None:
        """Show a progress."""
        self.shown.append(progress)
        self.visible = True

    def hide(self) -> None:
        """Leave no trace of it."""
        self.visible = False


def test_a_long_wait_shows_a_bar() -> None:
    """With counts by status, and the time that is left; afterwards it is gone."""
    bar = ShownBar()

    with WaitDisplay(10, lambda: {"processing": 2}, bar=bar, output=None) as on_progress:
        on_progress(2, 10)
        on_progress(4, 10)
        until(lambda: len(bar.shown) >= 2, "the bar moves")
        visible = bar.visible

    last = bar.shown[-1]
    assert visible
    assert not bar.visible
    assert (last.ended, last.total, last.statuses) == (4, 10, {"processing": 2})
    assert last.left_s is not None
    assert last.left_s == pytest.approx(3 * last.elapsed_s, rel=0.1)


def test_a_short_wait_shows_nothing() -> None:
    """A bar that flashes up disturbs."""
    bar = ShownBar()

    with WaitDisplay(10, dict, bar=bar, output=None) as on_progress:
        on_progress(10, 10)

    assert not bar.shown


def test_a_count_that_fails_is_left_out() -> None:
    """The wait itself says what is missing."""
    bar = ShownBar()

    def count() -> dict[str, int]:
        raise CloudException("no")

    with WaitDisplay(10, count, bar=bar, output=None):
        until(lambda: bar.shown, "the bar is shown")

    assert bar.shown[0].statuses == {}
    assert bar.shown[0].left_s is None
