"""Functions whose jobs tell what they find; an environment need not have pytest for them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tests.polling import until


def ask() -> Any:
    """Return what a job finds in its environment."""
    import gadget  # type: ignore[import-not-found]

    return gadget.answer, sys.prefix


def ask_extension() -> Any:
    """Return what a C extension of a job's environment makes of a character."""
    from markupsafe import _speedups

    return _speedups._escape_inner("<")


def ask_answer(number: int) -> Any:
    """Return the first half of it."""
    return ask()[0] + number


def prefix() -> str:
    """Return where the Python of a job is."""
    return sys.prefix


def ask_in_jobs(base: str) -> Any:
    """Return what a job of this job finds, and where one is that names a base."""
    import cloud

    jids = [cloud.call(ask), cloud.call(prefix, _env=base)]
    return cloud.result(jids, timeout=60)


def wait_only(path: str) -> str:
    """Wait for a file, then return where the Python of a job is."""
    until(Path(path).exists, "the test goes on")
    return prefix()


def wait_for(path: str) -> Any:
    """Wait for a file, then return what a job finds in its environment."""
    until(Path(path).exists, "the test goes on")
    return ask()
