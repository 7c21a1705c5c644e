"""Runs the programs of the corpus, each as a user would, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.e2e.conftest import over_stacks, stack

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

__all__ = ["stack"]

ROOT: Final = Path(__file__).parents[2]
PROGRAMS: Final = sorted((Path(__file__).parent / "programs").glob("*.py"))
TIMEOUT_S: Final = 240.0


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Programs run over every stack."""
    over_stacks(metafunc, "stack")


def failures(python: str, program: Path, directory: Path, **variables: str) -> dict[str, str]:
    """Run a program to its end, and return which of its cases failed, and how."""
    done = subprocess.run(
        [python, str(program)],
        cwd=directory,
        env=environment(variables),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout.splitlines()[-1])
    assert outcome["passed"], done.stdout
    found: dict[str, str] = outcome["failures"]
    return found


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """The environment of a program: it finds the corpus, and nothing of the test run."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    return own | {"PYTHONPATH": str(ROOT)} | variables
