"""A test that ends only by a kill: `test_guard.py` runs it, and no other run collects it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.stacks import Stack


def work_on(where: str) -> None:
    """A job that says that it runs, and does not end by itself."""
    Path(where).touch()
    time.sleep(3600)


def test_that_does_not_end(begin_each: Callable[..., Stack]) -> None:
    """A stack runs a job."""
    stack = begin_each()
    client = stack.client()
    running = stack.shared / "running"
    client.call(work_on, str(running))
    until(running.exists, "the job runs")
    (stack.shared / "ready").touch()
    time.sleep(3600)
