"""`key` and `cache` of `cloud.job` on every stack."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import cloud
import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.stacks import Stack

WAIT_S = 60.0

PROGRAM = """
import cloud, helper

@cloud.job(key="{key}")
def by_key(x):
    return x

@cloud.job(cache="1h")
def cached(x):
    return helper.scaled(x), "{key}"

print(int(by_key.call({argument})), int(cached.call({{"b", "a"}})))
"""


pytestmark = pytest.mark.usefixtures("as_current")


def test_programs_that_begin_again_find_their_jobs(stack: Stack, tmp_path: Path) -> None:
    """By key and by content, until code that the function imports is edited."""
    helper = tmp_path / "helper.py"

    def run(factor: int, argument: int) -> list[int] | str:
        helper.write_text(f"def scaled(x):\n    return sorted(x) * {factor}\n")
        source = PROGRAM.format(key=f"{stack.name}-{tmp_path.name}", argument=argument)
        (tmp_path / "program.py").write_text(source)
        ended = subprocess.run(
            [sys.executable, str(tmp_path / "program.py")],
            capture_output=True, text=True, check=False, env=stack.environment(), timeout=WAIT_S,
        )  # fmt: skip
        return ended.stderr if ended.returncode else [int(each) for each in ended.stdout.split()]

    first = run(2, 5)
    assert isinstance(first, list), first
    assert cloud.result(first, timeout=WAIT_S)[0] == 5
    assert run(2, 5) == first
    edited = run(3, 5)
    assert (edited[0] == first[0], edited[1] == first[1]) == (True, False)
    assert "This key names a job of another function or other arguments" in str(run(3, 6))


def test_results_that_are_gone_are_made_again() -> None:
    """Those of deleted and of failed jobs; a map is remembered as a whole."""

    @cloud.job(cache="1h")
    def divide(x: int, y: int, text: str = "results that are gone") -> int:
        assert text
        return x // y

    jobs = divide.map([6, 4], [3, 2])
    assert jobs.result(WAIT_S) == [2, 2]
    assert divide.map([6, 4], [3, 2]) == jobs
    assert divide.map([6, 4, 2], [3, 2, 1]) != jobs
    cloud.delete(jobs)
    again = divide.map([6, 4], [3, 2])
    assert again != jobs
    assert again.result(WAIT_S) == [2, 2]

    bad = divide.call(1, 0)
    with pytest.raises(ZeroDivisionError):
        bad.result(WAIT_S)
    assert divide.call(1, 0) != bad
