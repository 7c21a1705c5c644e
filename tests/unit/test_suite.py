"""What `make test` runs: a test that fails is run once more, alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

SUITE = Path(__file__).resolve().parents[1] / "suite.py"
UNSTEADY = """
from pathlib import Path

def test_unsteady():
    runs = Path("runs")
    runs.touch()
    runs.write_text(runs.read_text() + "x")
    assert len(runs.read_text()) > 1
"""
BROKEN = "def test_broken(): assert 0"

Suite: TypeAlias = "Callable[[str, str], subprocess.CompletedProcess[str]]"


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    """A function that runs a suite of two test modules: an end-to-end one, and a unit test."""

    def run(end_to_end: str, unit: str) -> subprocess.CompletedProcess[str]:
        tests = {"tests/e2e/test_one.py": end_to_end, "tests/unit/test_two.py": unit}
        for name, source in {**tests, "tests/docs/test_three.py": "", "docs/page.md": ""}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source)
        return subprocess.run(
            [sys.executable, str(SUITE), "-q"],
            cwd=tmp_path,
            env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.mark.parametrize("first", [True, False])
def test_an_unsteady_test_passes_and_is_named(suite: Suite, *, first: bool) -> None:
    """It failed, and passed when it was run again; this is said at the end."""
    passing = "def test_passing(): pass"
    ended = suite(*((UNSTEADY, passing) if first else (passing, UNSTEADY)))

    assert ended.returncode == 0, ended.stdout
    assert "Unsteady" in ended.stdout
    assert ended.stdout.rstrip().endswith("::test_unsteady")


def test_a_broken_test_fails(suite: Suite) -> None:
    """It fails twice, and so does the suite, though another test was only unsteady."""
    ended = suite(UNSTEADY, BROKEN)

    assert ended.returncode == 1
    assert "Unsteady" not in ended.stdout
    assert "1 failed, 1 passed" in ended.stdout


def test_many_failures_are_not_repeated(suite: Suite) -> None:
    """If many tests fail, none of them is run again."""
    ended = suite(UNSTEADY, "\n".join(BROKEN.replace("broken", f"broken_{n}") for n in range(6)))

    assert ended.returncode == 1
    assert "Once more" not in ended.stdout


@pytest.mark.parametrize("source", ["import nothing_of_this_name", "import os; os._exit(3)"])
def test_what_does_not_run_fails(suite: Suite, source: str) -> None:
    """Only tests are repeated, not a module that cannot be imported or a process that ends."""
    ended = suite(UNSTEADY, source)

    assert ended.returncode not in (0, 1)
    assert "Once more" not in ended.stdout
