"""Spawned processes receive what `__main__` holds; what cannot come says so when it is used."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
import types
from typing import TYPE_CHECKING, Any

import pytest
from picloud_worker.child.spawning import current_program

if TYPE_CHECKING:
    from collections.abc import Iterator

RECEIVER = """
import pickle, sys
pickle.load(sys.stdin.buffer)
import __main__
{code}
"""


@pytest.fixture
def scope() -> Iterator[dict[str, Any]]:
    """The names of an empty `__main__`."""
    main = sys.modules["__main__"]
    empty = sys.modules["__main__"] = types.ModuleType("__main__")
    yield vars(empty)
    sys.modules["__main__"] = main


def received(program: bytes, code: str) -> str:
    """Return what a process prints that received a program."""
    done = subprocess.run(
        [sys.executable, "-c", "import multiprocessing.spawn\n" + RECEIVER.format(code=code)],
        input=program,
        capture_output=True,
        timeout=60,
        check=True,
    )
    return done.stdout.decode().strip()


def test_functions_and_values_come(scope: dict[str, Any]) -> None:
    """They are in `__main__` by their names."""
    scope["double"] = lambda number: number * 2
    scope["limit"] = 5

    program = pickle.dumps(current_program([*sys.path]))

    assert received(program, "print(__main__.double(4), __main__.limit)") == "8 5"


def test_what_cannot_be_pickled_raises_when_it_is_called(scope: dict[str, Any]) -> None:
    """The others come without it."""
    lock = threading.Lock()
    scope["locked"] = lambda: lock.locked() or 1
    scope["limit"] = 5

    program = pickle.dumps(current_program([*sys.path]))

    code = "print(__main__.limit)\ntry: __main__.locked()\nexcept RuntimeError as e: print(e)"
    limit, message = received(program, code).splitlines()
    assert limit == "5"
    assert message.startswith("locked cannot be used in a process that was spawned by a job: ")
    assert "lock" in message


def test_what_cannot_be_unpickled_raises_when_it_is_called(scope: dict[str, Any]) -> None:
    """A module may be missing there: no name is, so that no task ends the process."""
    module = sys.modules["made_for_this"] = types.ModuleType("made_for_this", "")
    module.__file__ = "made_for_this.py"
    scope["uses_it"] = module
    try:
        program = pickle.dumps(current_program([*sys.path]))
    finally:
        del sys.modules["made_for_this"]

    code = "try: __main__.uses_it()\nexcept RuntimeError as e: print(e)"
    assert received(program, code).endswith("No module named 'made_for_this'")
