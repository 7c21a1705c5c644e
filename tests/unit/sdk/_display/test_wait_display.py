"""A watch shows how far a wait is, and never disturbs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cloud._display.output import JobOutput
from cloud._display.wait_display import (
    COUNT_S,
    COUNT_SHARE,
    DRAW_S,
    QUIET_S,
    SLOWEST_TICK_S,
    TICK_S,
    WaitDisplay,
)
from cloud.errors import CloudException

from tests.polling import until
from tests.unit.sdk._display.printing_jobs import PrintingJobs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class ShownBar:
    """A bar that remembers what it showed."""

    def __init__(self) -> None:
        self.shown: list[Any] = []
        self.visible = False

    def show(self, progress: Any) -> None:
        """Show a progress."""
        self.shown.append(progress)
        self.visible = True

    def pause(self) -> None:
        """Make way."""
        self.visible = False

    def hide(self) -> None:
        """Leave no trace of it."""
        self.visible = False


class Watched:
    """A display whose thread is the test: time passes when the test says so."""

    def __init__(self, count: Callable[[], Mapping[str, int]], count_s: float = 0.0) -> None:
        self.now = 100.0
        self.requests = 0
        self.threads = 0
        self.bar = ShownBar()
        self._count = count
        self._count_s = count_s
        self.display = WaitDisplay(
            10, self._read, bar=self.bar, output=None, clock=lambda: self.now, start=self._start
        )

    def pass_time(self, seconds: float) -> None:
        """Look as often as the thread does."""
        for _ in range(round(seconds / TICK_S)):
            self.now += TICK_S
            self.display.look()

    def _read(self) -> Mapping[str, int]:
        self.requests += 1
        self.now += self._count_s
        return self._count()

    def _start(self, _: Callable[[], None]) -> None:
        self.threads += 1


def test_a_long_wait_shows_a_bar() -> None:
    """With counts by status, and the time that is left; afterwards it is gone."""
    watched = Watched(lambda: {"processing": 2})

    with watched.display as on_progress:
        on_progress(2, 10, [])
        watched.pass_time(QUIET_S)
        on_progress(4, 10, [])
        watched.pass_time(1.0)
        visible = watched.bar.visible

    last = watched.bar.shown[-1]
    assert visible
    assert not watched.bar.visible
    assert (last.ended, last.total, last.statuses) == (4, 10, {"processing": 2})
    assert last.left_s == pytest.approx(3 * last.elapsed_s)


def test_a_long_wait_draws_less_often() -> None:
    """Twice a second at first, later once, unless each item of an iteration erases the bar."""
    watched, iteration = Watched(dict), Watched(dict)
    ticks = []

    with watched.display:
        for _ in range(4):
            ticks.append(watched.display.tick_s())
            watched.now += 15.0
    for _ in range(2):
        with iteration.display:
            iteration.now += 60.0

    assert ticks == [DRAW_S, DRAW_S, 0.75, SLOWEST_TICK_S]
    assert iteration.display.tick_s() == TICK_S


def test_a_short_wait_shows_nothing() -> None:
    """A bar that flashes up disturbs."""
    watched = Watched(dict)

    with watched.display as on_progress:
        on_progress(10, 10, [])
        watched.pass_time(QUIET_S - TICK_S)

    assert (watched.bar.shown, watched.requests) == ([], 0)


def test_many_short_waits_show_a_bar_once_they_took_long() -> None:
    """An iteration has one thread; between its waits there is no bar."""
    watched = Watched(dict)

    for _ in range(5):
        with watched.display:
            watched.pass_time(2 * TICK_S)
        assert not watched.bar.visible
        watched.pass_time(TICK_S)
    with watched.display:
        watched.pass_time(TICK_S)
        assert watched.bar.visible
    watched.display.close()

    assert watched.threads == 1
    assert len(watched.bar.shown) == 9


def test_the_thread_ends_when_an_iteration_was_left() -> None:
    """It begins again with the next wait."""
    watched = Watched(dict)

    with watched.display:
        watched.pass_time(TICK_S)
    watched.pass_time(10.0)
    with watched.display:
        watched.pass_time(TICK_S)

    assert watched.threads == 2


def test_work_does_not_grow_with_the_jobs_that_end() -> None:
    """However many end: one redraw in half a second, one request in a second, none per result."""
    watched = Watched(dict)

    with watched.display as on_progress:
        for _ in range(100):
            for ended in range(1000):
                on_progress(ended, 10_000, [])
            watched.now += watched.display.tick_s()
            watched.display.look()

    assert watched.now - 100.0 > 70.0
    assert len(watched.bar.shown) == 99
    assert watched.requests == 50


def test_slow_counts_are_requested_less_often() -> None:
    """They take at most a twentieth of the time, and are fewer in a long wait."""
    watched = Watched(dict, count_s=8 * COUNT_SHARE * COUNT_S)

    with watched.display:
        watched.pass_time(100.0)

    assert watched.requests == 13


def test_counts_of_a_short_map_are_not_those_of_its_start() -> None:
    """A server that takes 70 ms to count is asked every other second: jobs run by then."""
    now = [{"queued": 10}, {"processing": 2, "queued": 6}]
    watched = Watched(lambda: now[min(watched.requests, len(now)) - 1], count_s=0.07)

    with watched.display:
        watched.pass_time(3.0)

    assert "2 processing, 6 queued" in watched.bar.shown[-1].text()


def test_a_count_that_fails_is_left_out() -> None:
    """The wait itself says what is missing."""

    def count() -> dict[str, int]:
        raise CloudException("no")

    watched = Watched(count)
    with watched.display:
        watched.pass_time(QUIET_S)

    assert watched.bar.shown[0].statuses == {}
    assert watched.bar.shown[0].left_s is None


def test_a_thread_draws() -> None:
    """By the clock of this machine, until the display is closed."""
    bar = ShownBar()
    display = WaitDisplay(10, dict, bar=bar, output=None)

    with display:
        until(lambda: bar.visible, "the bar is shown")
    display.close()

    assert not bar.visible


def test_counts_that_are_newer_than_the_wait_add_up() -> None:
    """What has ended is in them already; the wait hears of it later."""
    watched = Watched(lambda: {"done": 5, "error": 1, "processing": 2, "queued": 2})

    with watched.display as on_progress:
        on_progress(1, 10, [])
        watched.pass_time(QUIET_S)

    last = watched.bar.shown[-1]
    assert last.ended + last.statuses["processing"] + last.statuses["queued"] == last.total
    assert last.text() == "6/10  2 processing, 2 queued, 1 failed  0:01, 0:00 left"


def test_slow_counts_do_not_delay_output() -> None:
    """Lines of jobs come every half second, however long the counts take."""
    jobs = PrintingJobs(7)
    now = 100.0

    def count() -> dict[str, int]:
        nonlocal now
        now += 0.2
        return {}

    output = JobOutput([7], jobs)
    display = WaitDisplay(
        10, count, bar=ShownBar(), output=output, clock=lambda: now, start=lambda _: None
    )
    jobs.statuses[7] = "processing"
    with display:
        for _ in range(40):
            now += TICK_S
            display.look()
        requests = jobs.requests

    assert requests == 20
