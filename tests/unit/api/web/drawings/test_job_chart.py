"""Charts of jobs: what they used over time, live and afterwards."""

from __future__ import annotations

from typing import Any

import msgspec
from picloud_api.web.drawings.job_chart import MOST_ROWS, job_chart, sample_file

SAMPLES = [(float(at), 50.0, 1_000_000) for at in range(1, 4)]


def test_a_running_job_ends_with_what_it_uses_now() -> None:
    """A job that has ended ends with its last sample."""
    now: dict[str, Any] = {"runtime": 3.5, "cpu_percentage": 80.0, "memory.usage": 3_000_000}
    ended: dict[str, Any] = {"runtime": 9.0, "cpu_percentage": None, "memory.usage": None}

    running, kept = (job_chart({"samples": SAMPLES, **each}) for each in (now, ended))

    assert running is not None
    assert kept is not None
    times, cpu, memory = msgspec.json.decode(running.plot.columns)
    assert (times[-1], cpu[-1], memory[-1]) == (3.5, 80.0, 3.0)
    assert msgspec.json.decode(kept.plot.columns)[0] == [1.0, 2.0, 3.0]
    assert running.plot.text == "4 samples in 3.500 s, at most 80 % and 3.0 MB"


def test_a_job_that_was_hardly_measured_has_no_chart() -> None:
    """A line has two ends."""
    assert job_chart({"samples": SAMPLES[:1]}) is None
    assert job_chart({"samples": None}) is None
    assert job_chart({}) is None


def test_the_table_of_a_long_job_is_short() -> None:
    """It has the last row; the file has all rows."""
    samples = [(float(at), 1.0, at) for at in range(2_881)]

    chart = job_chart({"samples": samples})

    assert chart is not None
    assert len(chart.rows) <= MOST_ROWS
    assert chart.rows[-1] == samples[-1]
    assert len(sample_file({"samples": samples}).splitlines()) == 2_882
