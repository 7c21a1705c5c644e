"""`__main__` holds what travelled of the user's program, and only while the job runs."""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING, Any

import pytest
from picloud_pickle.patches.applied import Patch
from picloud_worker.child.main_program import Loaded, MainProgram

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def scope() -> Iterator[dict[str, Any]]:
    """The names of an empty `__main__`."""
    main = sys.modules["__main__"]
    empty = sys.modules["__main__"] = types.ModuleType("__main__")
    yield vars(empty)
    sys.modules["__main__"] = main


def test_a_job_finds_the_names_of_its_program(scope: dict[str, Any]) -> None:
    """They stay for the next job of the function, and go with that of another one."""
    program = MainProgram()
    first, second = Loaded({"helper": 1}, []), Loaded({"other": 2}, [])

    program.begin(first)
    program.begin(first)
    assert scope["helper"] == 1

    program.begin(second)
    assert "helper" not in scope
    assert scope["other"] == 2

    program.release()
    assert "other" not in scope


def test_a_name_in_use_is_not_replaced(scope: dict[str, Any]) -> None:
    """What `__main__` had before stays, also when the names are released."""
    scope["helper"] = "mine"
    program = MainProgram()

    program.begin(Loaded({"helper": 1}, []))
    assert scope["helper"] == "mine"
    program.release()

    assert scope["helper"] == "mine"


def test_what_a_job_assigns_stays(scope: dict[str, Any]) -> None:
    """A name that the job gave another value is not removed."""
    program = MainProgram()
    program.begin(Loaded({"counter": 1}, []))
    scope["counter"] = 2

    program.release()

    assert scope["counter"] == 2


def test_names_of_arguments_join_those_of_the_function(scope: dict[str, Any]) -> None:
    """They are held as well, until another job begins, even one of the same function."""
    program = MainProgram()
    loaded = Loaded({"helper": 1}, [])
    program.begin(loaded)

    program.hold(Loaded({"Argument": 2}, []))
    assert (scope["helper"], scope["Argument"]) == (1, 2)
    program.begin(loaded)

    assert scope["helper"] == 1
    assert "Argument" not in scope


@pytest.mark.usefixtures("scope")
def test_patches_of_a_program_end_with_its_job() -> None:
    """They are made for each job of the function, and undone before one of another function."""
    program, table = MainProgram(), {"kept": 1}
    loaded = Loaded({}, [Patch(table, "kept", 2), Patch(table, "new", 3)])

    for _ in range(2):
        program.begin(loaded)
        assert table == {"kept": 2, "new": 3}

        program.release()
        assert table == {"kept": 1}


@pytest.mark.usefixtures("scope")
def test_what_a_job_puts_in_place_of_a_patch_stays() -> None:
    """As with names: what the job itself has changed is not the program's patch."""
    program, table = MainProgram(), {"kept": 1}
    program.begin(Loaded({}, [Patch(table, "kept", 2)]))
    table["kept"] = 5

    program.release()

    assert table == {"kept": 5}
