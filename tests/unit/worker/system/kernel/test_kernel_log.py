"""The kernel's log: the lines that name one process, of its own time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from picloud_worker.system.kernel.kernel_log import lines_about

if TYPE_CHECKING:
    from pathlib import Path

SEGFAULT = "python3[4242]: segfault at 0 ip 00007f04 sp 00007ffe error 4 in libc.so.6[7f04+155000]"
KILLED = "Memory cgroup out of memory: Killed process 4242 (python3) total-vm:81920kB"


def _write(path: Path, age_s: float, text: str) -> Path:
    """Write a log of one record, which was made some seconds ago."""
    at = int((time.monotonic() - age_s) * 1_000_000)
    path.write_text(f"6,3949,{at},-;{text}\n SUBSYSTEM=memory\n")
    return path


@pytest.mark.parametrize("text", [SEGFAULT, KILLED, "oom-kill:task=python3,pid=4242,uid=0"])
def test_lines_name_the_process(tmp_path: Path, text: str) -> None:
    """Each has its time and its text; those of other processes are left out."""
    log = _write(tmp_path / "kmsg", 2, text)

    (line,) = lines_about(4242, 5, log)

    assert line.endswith(f"Z kernel: {text}")
    assert lines_about(424, 5, log) == lines_about(42, 5, log) == []


def test_older_lines_are_of_another_process(tmp_path: Path) -> None:
    """Process ids are used again."""
    log = _write(tmp_path / "kmsg", 60, SEGFAULT)

    assert lines_about(4242, 5, log) == []
    assert len(lines_about(4242, 70, log)) == 1


def test_a_log_that_may_not_be_read_has_no_lines(tmp_path: Path) -> None:
    """As in containers, and on systems that have none."""
    assert lines_about(4242, 5, tmp_path / "missing") == []
    assert lines_about(999_999_999, 5) == []
