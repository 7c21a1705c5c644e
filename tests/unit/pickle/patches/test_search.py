"""What a program has put into modules is found, and nothing else."""

from __future__ import annotations

import json
import shutil
import sys
from types import ModuleType
from typing import TYPE_CHECKING

import pytest
from picloud_pickle.patches.search import Place, content, contents

if TYPE_CHECKING:
    from collections.abc import Iterator


class Own:
    """A class of the program's own: this module is not installed."""


@pytest.fixture
def module() -> Iterator[ModuleType]:
    """A module that looks as if it were installed, with a class and a table."""
    made = ModuleType("installed_here")
    made.__file__ = "/usr/lib/python3/dist-packages/installed_here.py"
    source = "class Kind:\n    def method(self): pass\ntable = {}\ndef function(): pass\n"
    exec(source, vars(made))
    sys.modules["installed_here"] = made
    yield made
    del sys.modules["installed_here"]


def found(module: ModuleType) -> set[tuple[str, object]]:
    """Return the paths and names of what is found in a module."""
    return {(place.path, place.name) for place in contents(module.__name__, vars(module)).places}


def test_what_is_in_classes_tables_and_the_module_itself(module: ModuleType) -> None:
    """Functions, classes, wrappers of them, and objects that hold one."""

    class Holder:
        """An object of the module that holds a class of the program, as accessors do."""

        def __init__(self) -> None:
            self.held = Own

    Holder.__module__ = "installed_here"
    module.Kind.method = lambda self: 1
    module.Kind.fixed = staticmethod(lambda: 1)
    module.Kind.value = property(lambda self: 1)
    module.Kind.accessor = Holder()
    module.Kind.number = 5
    module.table["own"] = Own
    module.table[Own] = 1
    module.table["pair"] = ("text", Own)
    module.table["plain"] = 2
    module.function = lambda: 1

    assert found(module) == {
        *(("Kind", name) for name in ("method", "fixed", "value", "accessor")),
        *(("table", name) for name in ("own", Own, "pair")),
        ("", "function"),
    }


def test_a_module_that_was_left_alone_has_none(module: ModuleType) -> None:
    """Its own functions and classes are not the program's; neither are those of the library."""
    assert found(module) == set()
    assert contents("json", vars(json)) == contents("shutil", vars(shutil)) == ((), ())


def test_modules_of_the_program_give_what_the_script_has_put_there_only(module: ModuleType) -> None:
    """They find what they have put into each other when they are imported."""
    module.__file__ = "/home/me/installed_here.py"
    sys.modules["own_here"] = sys.modules.pop("installed_here")
    module.__name__ = "own_here"
    module.table["own"] = Own
    module.table["script"] = type("Script", (), {"__module__": "__main__"})
    try:
        assert found(module) == {("table", "script")}
    finally:
        sys.modules["installed_here"] = sys.modules.pop("own_here")


def test_the_content_of_a_place_is_read_when_it_is_sent(module: ModuleType) -> None:
    """A notebook defines a function anew under the same name."""
    module.table["own"] = Own
    place = Place("installed_here", "table", "own")

    assert content(place) is Own
    del module.table
    assert content(place) is None


def test_a_class_that_names_another_module_as_its_own_is_searched(module: ModuleType) -> None:
    """As where a part of its package is installed, and another part is the program's."""
    mine = ModuleType("installed_here.mine")
    mine.__file__ = "/home/user/installed_here/mine.py"
    sys.modules[mine.__name__] = mine
    exec("def method(self): pass", vars(mine))
    module.Kind.__module__ = mine.__name__
    module.Kind.added = vars(mine)["method"]

    try:
        assert ("Kind", "added") in found(module)
    finally:
        del sys.modules[mine.__name__]
