"""Run times: the mean by which the size of a lease is chosen, and what metrics show."""

from __future__ import annotations

from picloud_api.engine.process.run_times import BOUNDS_S, LEAST_S, REMEMBERED, PhaseTimes, RunTimes

FUNCTION = ("a1", "f")


def test_slower_jobs_count_at_once_faster_ones_by_half() -> None:
    """A lease that is too long blocks others, one that is too short only costs a request."""
    run_times = RunTimes()
    run_times.learn(FUNCTION, 1.0, 1)
    run_times.learn(FUNCTION, 3.0, 1)
    assert run_times.seconds(FUNCTION) == 3.0

    run_times.learn(FUNCTION, 10.0, 10)

    assert run_times.seconds(FUNCTION) == 2.0


def test_no_job_is_free() -> None:
    """Else a lease could hold any number of jobs."""
    run_times = RunTimes()

    run_times.learn(FUNCTION, 0.0, 1000)

    assert run_times.seconds(FUNCTION) == LEAST_S


def test_a_function_is_measured_in_each_account() -> None:
    """What one account reports changes nothing for another."""
    run_times = RunTimes()

    run_times.learn(("a2", "f"), 100.0, 1)

    assert run_times.seconds(FUNCTION) is None


def test_functions_that_were_not_run_for_long_are_forgotten() -> None:
    """The memory is bounded."""
    run_times = RunTimes()
    run_times.learn(FUNCTION, 1.0, 1)
    run_times.learn(("a1", "kept"), 1.0, 1)
    for number in range(REMEMBERED - 2):
        run_times.learn(("a1", str(number)), 1.0, 1)
    run_times.learn(("a1", "kept"), 1.0, 1)

    run_times.learn(("a1", "new"), 1.0, 1)

    assert run_times.seconds(FUNCTION) is None
    assert run_times.seconds(("a1", "kept")) == 1.0


def test_phases_are_counted_in_buckets() -> None:
    """A time that equals a bound is within it; a clock that is behind counts as no time."""
    times = PhaseTimes()
    times.add(created_at=100.0, started_at=101.0, finished_at=111.0, now=110.0)
    times.add(created_at=100.0, started_at=0.0, finished_at=105.0, now=105.5)

    wait, run, report = (times.phases[name] for name in ("wait", "run", "report"))

    assert (wait.count, run.count, report.count) == (1, 1, 2)
    assert wait.at_most[BOUNDS_S.index(1.0)] == 1
    assert (wait.at_most[BOUNDS_S.index(0.5)], run.total_s, report.total_s) == (0, 10.0, 0.5)


def test_core_times_are_taken_once() -> None:
    """The metrics add them up, so that a later price changes nothing of before."""
    times = PhaseTimes()
    times.add_cores(("a1", "c2", None), 500)
    times.add_cores(("a1", "c2", None), 250)

    assert times.take_core_ms() == {("a1", "c2", None): 750}
    assert times.take_core_ms() == {}
