"""A user's own modules travel with the functions that need them."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.stacks import Stack

CALLER = """
import os
import cloud
import shapes.area

os.chdir("/")
print(cloud.result(cloud.call(shapes.area.of_square, 3), timeout=60))
print(cloud.result(cloud.map(shapes.area.of_square, [4, 5]), timeout=60))
"""
PACKAGE = {
    "shapes/__init__.py": "NAME = 'shapes'\n",
    "shapes/power.py": "from . import NAME\n\n\ndef square(x):\n    return x * x\n",
    "shapes/late.py": "from .deep.er import UNIT\n",
    "shapes/deep/__init__.py": "",
    "shapes/deep/er.py": "UNIT = 'm2'\n",
    "shapes/area.py": (
        "from .power import square\n\n\n"
        "def of_square(x):\n"
        "    from .late import UNIT\n"
        "    import lonely\n"
        "    return lonely.said(square(x), UNIT)\n"
    ),
    "lonely.py": "def said(number, unit):\n    return f'{number} {unit}'\n",
}


def lay_out(directory: Path, files: dict[str, str]) -> None:
    """Write source files."""
    for name, text in files.items():
        target = directory / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)


def test_local_modules_are_transferred(script: Callable[..., str], tmp_path: Path) -> None:
    """The promise: "If those dependencies are pure Python (not C-extensions), they will be
    automatically transferred": packages, relative imports, and what is imported only when the
    function runs.
    """
    lay_out(tmp_path, PACKAGE)

    assert script(CALLER) == "9 m2\n['16 m2', '25 m2']\n"


def test_changed_code_is_never_stale(script: Callable[..., str], tmp_path: Path) -> None:
    """The promise: "They are only uploaded again if you modify code. We even track different
    versions": a new program with changed code gets the new code, also from a slot that is warm with
    the old one.
    """
    lay_out(tmp_path, PACKAGE)
    assert script(CALLER).startswith("9 m2")

    for round_ in range(5):
        lay_out(tmp_path, {"shapes/deep/er.py": f"UNIT = 'km{round_}'\n"})
        assert script(CALLER).startswith(f"9 km{round_}")

    lay_out(tmp_path, {"shapes/deep/er.py": "UNIT = 'm2'\n"})
    assert script(CALLER).startswith("9 m2")


SWEEP = """
import cloud, scores

def best(jids):
    return max(cloud.result(jids, timeout=60), key=lambda score: score.mean)

jids = cloud.map(scores.make, [1, 3, 2])
reduced = cloud.call(best, list(jids), _depends_on=jids)
failed = cloud.call(scores.fail)
print(cloud.result(reduced, timeout=60))
cloud.join(failed, 60, ignore_errors=True)
print(reduced, failed)
"""
READER = """
import sys, cloud
reduced, failed = map(int, sys.argv[1:])
print(cloud.result(reduced))
try:
    cloud.result(failed)
except cloud.CloudException as error:
    print(repr(error.__cause__))
"""


def test_a_result_carries_its_code(
    stack: Stack, script: Callable[..., str], tmp_path: Path
) -> None:
    """A reducer in a job, and a script in another directory, read results and exceptions whose
    classes are in modules of the program that made them.
    """
    source = (
        "class Score:\n"
        "    def __init__(self, mean): self.mean = mean\n"
        "    def __repr__(self): return f'Score({self.mean})'\n"
        "class Worse(Exception): pass\n"
        "def make(mean): return Score(mean)\n"
        "def fail(): raise Worse('bad')\n"
    )
    lay_out(tmp_path, {"scores.py": source})
    lay_out(tmp_path / "elsewhere", {"reader.py": READER})

    printed, jids = script(SWEEP).splitlines()
    read = subprocess.run(
        [sys.executable, "reader.py", *jids.split()],
        cwd=tmp_path / "elsewhere",
        env=stack.environment() | {"XDG_CACHE_HOME": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert printed == "Score(3)"
    assert read.stdout.splitlines() == ["Score(3)", "Worse('bad')"], read.stderr


def test_two_programs_may_have_modules_of_one_name(stack: Stack, tmp_path: Path) -> None:
    """Two programs that run at once, with different modules of the same name, are kept apart."""
    source = (
        "import cloud, conflict\n"
        "for _ in range(5):\n"
        "    print(set(cloud.result(cloud.map(conflict.who, range(20)), timeout=60)))\n"
    )
    running = []
    for name in ("one", "two"):
        lay_out(
            tmp_path / name,
            {"program.py": source, "conflict.py": f"def who(_):\n    return {name!r}\n"},
        )
        running.append(
            subprocess.Popen(
                [sys.executable, "program.py"],
                cwd=tmp_path / name,
                env=stack.environment(),
                stdout=subprocess.PIPE,
                text=True,
            )
        )

    printed = [process.communicate(timeout=60)[0] for process in running]

    assert printed == ["{'one'}\n" * 5, "{'two'}\n" * 5]


def test_a_module_that_cannot_be_had_is_named(script: Callable[..., str], tmp_path: Path) -> None:
    """The promise: "the job would error with a 'Cannot import mycmodule' error": the module is
    named.
    """
    lay_out(tmp_path, {"shy.py": "def get():\n    return __import__('un' + 'known').x\n"})

    printed = script(
        "import cloud, shy\n"
        "try:\n"
        "    cloud.result(cloud.call(shy.get), timeout=60)\n"
        "except cloud.CloudException as error:\n"
        "    print(error.summary)\n"
    )

    assert "No module named 'unknown'" in printed


def test_functions_of_a_script_run_elsewhere(script: Callable[..., str]) -> None:
    """The promise: "__main__ on PiCloud differs from __main__ locally": functions, classes, globals
    and imports of a script work all the same, and the script itself is not run again by its jobs.
    """
    printed = script(
        "import math\n"
        "from dataclasses import dataclass\n"
        "import cloud\n"
        "\n"
        "print('once')\n"
        "K = 2\n"
        "\n"
        "@dataclass\n"
        "class Point:\n"
        "    x: float\n"
        "    def norm(self):\n"
        "        return math.sqrt(self.x) * K\n"
        "\n"
        "def norm(point):\n"
        "    return helper(point.norm()), Point(7)\n"
        "\n"
        "def helper(x):\n"
        "    return x + K\n"
        "\n"
        "if __name__ == '__main__':\n"
        "    number, point = cloud.result(cloud.call(norm, Point(16)), timeout=60)\n"
        "    print(number, point, isinstance(point, Point))\n"
        "    try:\n"
        "        cloud.result(cloud.call(norm, None), timeout=60)\n"
        "    except cloud.CloudException as error:\n"
        "        print(type(error.__cause__).__name__, 'in norm' in error.value)\n"
    )

    assert printed == "once\n10.0 Point(x=7) True\nAttributeError True\n"


def test_what_a_script_changed_since_is_what_runs(script: Callable[..., str]) -> None:
    """The promise: "since foo uses the global variable k, k is pickled and sent": as it is at that
    call.
    """
    printed = script(
        "import cloud\n"
        "k = 1\n"
        "def get():\n"
        "    return k\n"
        "one = cloud.call(get)\n"
        "k = 2\n"
        "two = cloud.call(get)\n"
        "print(cloud.result([one, two], timeout=60))\n"
    )

    assert printed == "[1, 2]\n"
