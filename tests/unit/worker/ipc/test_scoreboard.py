"""The scoreboard: what one process records, the other reads."""

from __future__ import annotations

import os

from picloud_worker.ipc.scoreboard import MOST_CHILDREN, Scoreboard, StartedJob


def test_a_forked_process_shares_it() -> None:
    """What a child records, its supervisor reads at once."""
    scoreboard = Scoreboard()
    if (child := os.fork()) == 0:
        scoreboard.register(5, os.getpid())
        scoreboard.begin(5, 7, 4095, 12.5, (1.5, 0.25))
        os._exit(0)
    os.waitpid(child, 0)

    assert scoreboard.pid(5) == child
    assert scoreboard.started_job(5) == StartedJob(7, 4095, 12.5, user_s=1.5, system_s=0.25)


def test_rows_are_independent() -> None:
    """A row says nothing of the others, also the first and the last."""
    scoreboard = Scoreboard()

    for index in (0, MOST_CHILDREN - 1):
        scoreboard.begin(index, index + 1, 0, 1.0)

    started = [scoreboard.started_job(index) for index in range(MOST_CHILDREN)]
    assert [job.generation for job in started if job is not None] == [1, MOST_CHILDREN]
    assert started[1:-1] == [None] * (MOST_CHILDREN - 2)


def test_a_cleared_row_is_as_new() -> None:
    """The next child of a row has started nothing yet, and has no process id."""
    scoreboard = Scoreboard()
    scoreboard.register(3, 77)
    scoreboard.begin(3, 1, 0, 1.0)

    scoreboard.clear(3)

    assert (scoreboard.pid(3), scoreboard.started_job(3)) == (0, None)
