"""Crash points: where tests end a process as `kill -9` would."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("name", ["", "worker.ran"])
def test_a_crash_point_ends_the_process_if_armed(name: str) -> None:
    """Only the point that was armed kills."""
    text = (
        "from picloud_model.crashpoints import arm, crashpoint;"
        f"arm({name!r}); crashpoint('worker.begun'); crashpoint('worker.ran')"
    )
    done = subprocess.run([sys.executable, "-c", text], check=False)

    assert done.returncode == (-9 if name else 0)
