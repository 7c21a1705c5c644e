"""Functions of the main program, however it came to run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.unit.sdk._packing.travel import arrive, run

ZOO = Path(__file__).with_name("zoo.py")
ROOT = Path(__file__).parents[4]
WANTED = {
    "lambda": 3,
    "keywords": 5,
    "global": 42,
    "closure": 13,
    "partial": 8,
    "bound": 7,
    "classmethod": 8,
    "staticmethod": -3,
    "callable": 42,
    "class": 6,
    "instance": {"x": 8, "y": 5},
    "enum": ("RED", True),
    "recursive": 120,
    "mutual": False,
    "decorated": 10,
    "builtin": 6,
    "method of builtin": ["a", "b"],
    "lazy import": "[1]",
    "range": [2, 5],
}
EXECUTED = "import sys; exec(compile(open(sys.argv[1]).read(), '<cell>', 'exec'), globals())"
SPAWNED = """
import multiprocessing, runpy, sys
if __name__ == "__main__":
    process = multiprocessing.get_context("spawn").Process(target=print)
    process.start(); process.join(); sys.exit(process.exitcode)
exec(compile(open(sys.argv[1]).read(), "<cell>", "exec"))
"""


@pytest.fixture(scope="module", params=["script", "stdin", "interactive", "exec", "-m", "spawned"])
def outcomes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What each function of the zoo returned elsewhere, for one way to run it here."""
    directory = tmp_path_factory.mktemp("main")
    python, source = [sys.executable], ZOO.read_text()
    options: dict[str, Any] = {
        "environment": {"LUGGAGE": str(directory / "luggage"), "PYTHONPATH": str(ROOT)}
    }
    if request.param == "script":
        python.append(str(ZOO))
    elif request.param == "stdin":
        options["input"] = source
    elif request.param == "interactive":
        python.append("-i")
        options["input"] = "\n\n".join(
            part.replace("\n\n", "\n") for part in source.split("\n\n\n")
        )
    elif request.param == "exec":
        python += ["-c", EXECUTED, str(ZOO)]
    elif request.param == "-m":
        python += ["-m", "tests.unit.sdk._packing.zoo"]
    else:
        (directory / "spawning.py").write_text(SPAWNED)
        python += [str(directory / "spawning.py"), str(ZOO)]
    done = run(python, directory, **options)
    assert "all posted" in done.stderr
    return arrive(directory / "luggage")


@pytest.mark.parametrize("kind", WANTED)
def test_every_kind_of_function_runs_elsewhere(outcomes: dict[str, Any], kind: str) -> None:
    """A function of `__main__` runs on a machine that has never seen the program."""
    assert outcomes[kind] == WANTED[kind]
