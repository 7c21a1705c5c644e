"""Imports are watched: what begins and ends with one, and which modules were executed."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

import pytest
from picloud_worker.child.import_watch import ImportWatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NAMES = ("watched_one", "watched_two", "watched_broken")


class Calls:
    """Records the calls of a watch."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def begin(self, name: str) -> str:
        """Return what the end is given."""
        self.made.append(f"begin {name}")
        return "state"

    def end(self, before: str) -> None:
        """Record the end of an import."""
        self.made.append(f"end {before}")

    def imported(self) -> None:
        """Record that a module of interest was executed."""
        self.made.append("imported")


@pytest.fixture
def calls() -> Calls:
    """What the watch called."""
    return Calls()


@pytest.fixture(autouse=True)
def watch(calls: Calls, tmp_path: Path) -> Iterator[None]:
    """Watches imports, among others from an empty directory."""
    finders, path = [*sys.meta_path], [*sys.path]
    sys.path.insert(0, str(tmp_path))
    ImportWatch(calls.begin, calls.end, {"watched_two": calls.imported}).install()
    yield
    sys.meta_path[:], sys.path[:] = finders, path
    for name in NAMES:
        sys.modules.pop(name, None)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], None]:
    """Writes a module that can be imported."""

    def write_module(name: str, text: str) -> None:
        (tmp_path / f"{name}.py").write_text(text)
        importlib.invalidate_caches()

    return write_module


def test_an_import_has_a_begin_and_an_end(calls: Calls, write: Callable[[str, str], None]) -> None:
    """Once for the first import of a module; a later one executes nothing."""
    write("watched_one", "value = 1")

    assert importlib.import_module("watched_one").value == 1
    importlib.import_module("watched_one")

    assert calls.made == ["begin watched_one", "end state"]


def test_an_import_inside_another_belongs_to_it(
    calls: Calls, write: Callable[[str, str], None]
) -> None:
    """There is one begin and one end; a module of interest is reported where it is executed."""
    write("watched_one", "import watched_two")
    write("watched_two", "")

    importlib.import_module("watched_one")

    assert calls.made == ["begin watched_one", "imported", "end state"]


def test_an_import_that_fails_ends(calls: Calls, write: Callable[[str, str], None]) -> None:
    """Its exception is the program's own, and the next import is watched as before."""
    write("watched_broken", "1 / 0")
    write("watched_one", "")

    with pytest.raises(ZeroDivisionError):
        importlib.import_module("watched_broken")
    importlib.import_module("watched_one")

    assert calls.made == [
        *("begin watched_broken", "end state"),
        *("begin watched_one", "end state"),
    ]


def test_a_missing_module_is_missing(calls: Calls) -> None:
    """What no finder finds is an error as without a watch."""
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("watched_nowhere")

    assert calls.made == []
