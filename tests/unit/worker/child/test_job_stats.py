"""Stats of a job: what it wrote and used, and nothing of a quick and silent one."""

from __future__ import annotations

import logging
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from picloud_worker.child.job_stats import LogHandler, forget_peak
from picloud_worker.system import memory

if TYPE_CHECKING:
    from pathlib import Path

RECORDED = """
import logging, os, sys, tempfile, types
from picloud_worker.child.job_stats import StatsRecorder

log = tempfile.TemporaryFile()
recorder = StatsRecorder(log.fileno())
runner = types.SimpleNamespace(profile=None)

def job(function, wanted=False, remarks=()):
    recorder.begin()
    function()
    sys.stdout.flush()
    return recorder.stats(runner, [*remarks], wanted=wanted)

silent = job(lambda: None)
wanted = job(lambda: None, wanted=True)
loud = job(lambda: print("x" * 10))
logged = job(lambda: logging.getLogger("mine").debug("noted"))
busy = job(lambda: sum(range(3_000_000)), wanted=True)
remarked = job(lambda: None, remarks=["restored"])
replaced = job(lambda: os.dup2(os.open(os.devnull, os.O_WRONLY), 1))
after = job(lambda: print("back"))
print(
    silent is None, wanted.ends, loud.ends, logged.ends[2] > 0, busy.user_s > 0,
    busy.peak_bytes > 1_000_000, remarked.remarks, replaced is None, after.ends[0],
    file=sys.stderr,
)
"""


def test_a_job_is_described_by_what_it_left(tmp_path: Path) -> None:
    """Lengths of its streams and log, its CPU, its peak; the streams are the next job's again."""
    with (tmp_path / "out").open("wb") as out, (tmp_path / "err").open("wb") as err:
        subprocess.run([sys.executable, "-c", RECORDED], stdout=out, stderr=err, check=False)

    words = (tmp_path / "err").read_text().strip()
    assert words == "True (0, 0, 0) (11, 0, 0) True True True ['restored'] True 16"
    assert (tmp_path / "out").read_bytes() == b"x" * 10 + b"\nback\n"


def test_a_record_is_appended_to_the_log(tmp_path: Path) -> None:
    """One line a record; what cannot be encoded is escaped."""
    with (tmp_path / "log").open("wb") as file:
        handler = LogHandler(file.fileno())
        handler.emit(logging.makeLogRecord({"name": "mine", "levelname": "INFO", "msg": "a\udc80"}))

    (line,) = (tmp_path / "log").read_text().splitlines()
    assert line.endswith("INFO mine: a\\udc80")
    assert handler.wrote


def test_a_record_that_cannot_be_formatted_raises_nothing(tmp_path: Path) -> None:
    """The job that logs goes on."""
    with (tmp_path / "log").open("wb") as file:
        handler = LogHandler(file.fileno())
        handler.handleError = lambda record: None  # type: ignore[method-assign]
        handler.emit(logging.makeLogRecord({"msg": "%d", "args": ("x",)}))

    assert not handler.wrote


def test_output_of_c_code_is_written_out() -> None:
    """The buffer of C is flushed, so that it comes before what is written later."""
    code = (
        "import ctypes, os; from picloud_worker.child.job_stats import flush_c;"
        "ctypes.CDLL(None).printf(b'first '); flush_c(); os.write(1, b'second')"
    )

    assert subprocess.check_output([sys.executable, "-c", code]) == b"first second"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux forgets a peak")
def test_the_peak_begins_anew() -> None:
    """What an earlier job had used at most is forgotten."""
    data = bytearray(200_000_000)
    before = memory.peak_bytes()
    del data

    forget_peak()

    assert memory.peak_bytes() < before
