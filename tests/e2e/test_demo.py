"""`make demo`: the program that a newcomer runs first."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"


@pytest.mark.parametrize("name", ["embedded", "hashicorp"])
def test_the_demo_survives_its_own_kill(name: str) -> None:
    """It compares, fails, kills everything and ends with the same answer."""
    demo = subprocess.run(
        [sys.executable, DEMO, "--stack", name, "--jobs", "16"],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    assert (demo.returncode, demo.stderr) == (0, "")
    assert demo.stdout.count("the same answer.") == 2
    assert "done, done, error, done" in demo.stdout
    assert "statistics.StatisticsError: no median for empty data" in demo.stdout
    killed = re.search(r"Killed: (.*)", demo.stdout)
    assert killed is not None
    programs = {"embedded": ["picloud_api", "picloud_worker"], "hashicorp": ["consul", "nomad"]}
    assert all(f" {program}" in killed[1] for program in programs[name])
