"""Stacks of crashes, cut to what is the user's."""

from __future__ import annotations

from pathlib import Path

import picloud_worker
from picloud_worker.crash_trace import readable, without_our_frames

HERE = Path(picloud_worker.__file__).parent

CRASH = f"""words before
Fatal Python error: Segmentation fault

Current thread 0x00007f (most recent call first):
  File "/usr/lib/python3.11/ctypes/__init__.py", line 519 in string_at
  File "/home/me/mine.py", line 10 in crash
  File "{HERE}/running.py", line 79 in _result
  File "/usr/lib/python3.11/runpy.py", line 88 in _run_code

Extension modules: msgspec._core (total: 1)
"""


def test_frames_below_the_job_are_left_out() -> None:
    """Everything from the first frame of the worker on, and the list of extension modules."""
    assert readable(CRASH).endswith('File "/home/me/mine.py", line 10 in crash')


def test_every_thread_is_cut_for_itself() -> None:
    """A crash lists all threads; the stack of each begins anew."""
    text = readable(CRASH + CRASH)

    assert text.count("in crash") == 2
    assert str(HERE) not in text


def test_what_a_job_printed_stays() -> None:
    """Only stacks are changed: lines that repeat are the job's own business."""
    printed = "a\na\na\na\na\n  File it away\n"

    assert readable(printed) == printed.strip("\n")


def test_a_stack_of_our_frames_only_is_not_shown() -> None:
    """As of a job that was killed while a function of the library slept; its own words stay."""
    ours = "".join(f'  File "{HERE}/x.py", line {n} in f\n' for n in "12")
    stack = f"Current thread 0x1 (most recent call first):\n{ours}"

    assert without_our_frames(f"caf\xe9\n{stack}".encode("latin-1")) == b"caf\xe9\n"
    assert without_our_frames(stack.encode()) == b""
    assert readable("") == ""
    assert without_our_frames(b"\nas it is\n\n") == b"\nas it is\n\n"


def test_the_frames_of_the_job_are_shown() -> None:
    """Each thread that has some."""
    empty = "Thread 0x1 (most recent call first):\n"
    shown = 'Thread 0x2 (most recent call first):\n  File "a.py", line 1 in f\n'

    assert without_our_frames((empty + shown).encode()) == shown.encode()
