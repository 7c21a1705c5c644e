"""A function does in a job what it does at home: every kind of object, as users write it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.corpus.conftest import PROGRAMS, failures

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.stacks import Stack


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_functions_do_in_a_job_what_they_do_at_home(
    stack: Stack, program: Path, tmp_path: Path
) -> None:
    """Each case of a program gives in its job what is right."""
    assert failures(sys.executable, program, tmp_path, **stack.environment()) == {}
