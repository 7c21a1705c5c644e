"""The examples: `make demo`, which a newcomer runs first, `make words` and `make imgpipeline`."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.e2e.stacks import Stack

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize("name", ["embedded", "hashicorp"])
def test_the_demo_survives_its_own_kill(name: str) -> None:
    """It compares, fails, kills everything and ends with the same answer."""
    demo = subprocess.run(
        [sys.executable, EXAMPLES / "demo.py", "--stack", name, "--jobs", "16"],
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


def test_shell_jobs_sort_what_maps_over_files_found(stack: Stack) -> None:
    """The program finds the same names in its own process, and leaves nothing in the bucket."""
    words = subprocess.run(
        [sys.executable, EXAMPLES / "words.py", "--stack", "yours", "--modules", "12"],
        env=stack.environment(),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    assert (words.returncode, words.stderr) == (0, "")
    assert words.stdout.count("$ ") == 3
    assert words.stdout.endswith("The same answer here.\n")
    with contextlib.closing(stack.client()) as client:
        assert not client.bucket.page("words/", "", 1, folderize=False).objects


def test_a_pipeline_of_queues_makes_images(stack: Stack, tmp_path: Path) -> None:
    """All that is made of the images is stored and reported, and drawn as in the documentation."""
    picture = tmp_path / "pipeline.svg"
    made = subprocess.run(
        [
            *(sys.executable, EXAMPLES / "imgpipeline", "--stack", "yours"),
            *("--images", "3", "--svg", picture),
        ],
        env=stack.environment(),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    assert (made.returncode, made.stderr) == (0, "")
    assert "2. 3 images became 9 in " in made.stdout
    assert made.stdout.endswith("4. In bad-urls: image 3, HTTPError: HTTP Error 404: Not Found\n")
    drawn = EXAMPLES.parent / "docs" / "how-to" / "imgpipeline.svg"
    assert picture.read_text(encoding="utf-8") == drawn.read_text(encoding="utf-8")
