"""The jid of the job that runs, in the environment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from picloud_worker.restore import job_variables


@pytest.fixture(autouse=True)
def _restored() -> object:
    yield
    os.environ.pop("PICLOUD_JID", None)


def test_user_code_and_programs_it_starts_find_the_jid() -> None:
    """The last jid named is in `os.environ`, and in the environment of every program started."""
    shown = [sys.executable, "-c", "import os; print(os.environ['PICLOUD_JID'])"]

    job_variables.JID.set(123_456_789)
    job_variables.JID.set(7)

    assert os.environ["PICLOUD_JID"] == "7"
    assert subprocess.run(shown, capture_output=True, check=True).stdout == b"7\n"


def test_a_job_that_takes_the_jid_away_harms_the_next_one_in_nothing() -> None:
    """Whatever a job did to the variable, the next one finds its own jid there."""
    job_variables.JID.set(1)
    os.environ["PICLOUD_JID"] = "nonsense"
    job_variables.JID.set(2)
    del os.environ["PICLOUD_JID"]

    job_variables.JID.set(3)

    assert os.environ["PICLOUD_JID"] == "3"
    assert subprocess.check_output("echo $PICLOUD_JID", shell=True) == b"3\n"


def test_naming_keeps_nothing_of_the_jobs_before() -> None:
    """An interpreter that ran 200,000 jobs has no more memory than one that ran few."""
    job_variables.JID.set(1)
    before = _kilobytes()

    for jid in range(200_000):
        job_variables.JID.set(jid)

    assert _kilobytes() - before < 2000


def _kilobytes() -> int:
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))
