"""What a job registers in tables of modules is gone after it; what an import has made stays."""

from __future__ import annotations

import copyreg
import logging
import sqlite3
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from picloud_worker.restore.module_tables import ModuleTables

if TYPE_CHECKING:
    from collections.abc import Callable


class Kind(pd.api.extensions.ExtensionDtype):
    """A kind of columns of a job's."""

    name = "kind of a job"
    type = int


def never(owner: Any, key: Any) -> bool:
    """No entry belongs to a program."""
    del owner, key
    return False


@pytest.fixture
def tables() -> ModuleTables:
    """The tables of this process."""
    return ModuleTables(never)


CHANGES: dict[str, list[Callable[[], Any]]] = {
    "sys.modules (of_a_job)": [lambda: sys.modules.update(of_a_job=ModuleType("of_a_job"))],
    "sys.modules (sqlite3)": [
        lambda: sys.modules.update(sqlite3=ModuleType("sqlite3")),
        lambda: sys.modules.pop("sqlite3"),
        lambda: sys.modules.update(sqlite3=None),  # type: ignore[arg-type]
    ],
    "copyreg.pickle": [
        lambda: copyreg.pickle(Kind, lambda _: "kind"),
        lambda: copyreg.dispatch_table.pop(complex),
    ],
    "logging.addLevelName": [lambda: logging.addLevelName(7, "LOUD")],
    "sqlite3.register_adapter": [lambda: sqlite3.register_adapter(Kind, str)],
    "sqlite3.register_converter": [lambda: sqlite3.register_converter("kind", str)],
    "pandas.set_option": [lambda: pd.set_option("display.max_rows", 7)],
    "register_extension_dtype": [lambda: pd.api.extensions.register_extension_dtype(Kind)],
}


@pytest.mark.parametrize(
    ("name", "change"), [(name, each) for name, changes in CHANGES.items() for each in changes]
)
def test_a_change_is_undone(tables: ModuleTables, name: str, change: Callable[[], Any]) -> None:
    """It has a name, and a second look finds nothing."""
    before = tables.snapshot("")
    change()

    assert tables.restore() == ([name], [])
    assert tables.snapshot("") == before
    assert tables.restore() == ([], [])


def test_what_an_import_has_registered_stays(tables: ModuleTables) -> None:
    """Even if the job had registered something before."""
    logging.addLevelName(7, "LOUD")
    sys.modules["imported"] = ModuleType("imported")
    before = tables.snapshot("imported")
    logging.addLevelName(8, "LOUDER")
    tables.keep_changes(before)

    assert tables.restore() == (["logging.addLevelName"], [])
    assert [logging.getLevelName(number) for number in (7, 8)] == ["Level 7", "LOUDER"]
    assert "imported" in sys.modules

    del sys.modules["imported"], logging._levelToName[8], logging._nameToLevel["LOUDER"]


def test_modules_that_any_program_can_import_stay(tables: ModuleTables) -> None:
    """As extension modules, whose imports are not watched."""
    sys.modules.pop("colorsys", None)
    tables.restore()
    import colorsys

    assert tables.restore() == ([], [])
    assert sys.modules["colorsys"] is colorsys


def test_what_belongs_to_the_program_stays() -> None:
    """It is undone by that which has put it there."""
    tables = ModuleTables(lambda owner, key: owner is logging._levelToName and key == 7)
    logging.addLevelName(7, "LOUD")

    assert tables.restore() == (["logging.addLevelName"], [])  # the numbers of the names
    assert logging.getLevelName(7) == "LOUD"

    del logging._levelToName[7]


def test_a_table_that_cannot_be_restored_has_a_name(tables: ModuleTables) -> None:
    """Values of jobs may raise what they like when they are looked at."""

    class Hostile(ModuleType):
        """A module whose attributes cannot be read."""

        def __getattribute__(self, name: str) -> Any:
            raise RuntimeError(name)

    sys.modules["hostile"] = Hostile("hostile")

    assert tables.restore() == ([], ["sys.modules"])

    del sys.modules["hostile"]
