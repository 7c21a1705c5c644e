"""How the modules of the product hang together: rooms, names, and imports without circles."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import pytest

from tests.shape.graph import (
    ONE_FILE_A_NOUN,
    PACKAGES,
    ROOM_MODULES,
    circles,
    collapsed,
    floors,
    imports,
    modules,
    parsed,
    rooms,
)

MODULES = modules()
IMPORTS = imports(MODULES)
FOLDERS = sorted({path.parent for path in MODULES.values()})
FLOORS = 8
"""The longest chain of imports that a reader may have to follow down."""


def test_no_import_goes_in_a_circle() -> None:
    """No module reaches itself through imports, be they lazy or for type checking only."""
    assert circles(IMPORTS) == []


@pytest.mark.parametrize("package", [Path(path).name for path in PACKAGES])
def test_rooms_import_in_one_direction(package: str) -> None:
    """The rooms of a package form no circle, and few floors; its `__init__` re-exports only."""
    room_of = rooms(package, IMPORTS)
    room_of.pop(package, None)
    between = collapsed(IMPORTS, room_of)

    assert circles(between) == []
    assert floors(between) <= FLOORS


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_room_is_small(folder: Path) -> None:
    """A room holds few modules, unless it has one file for each command or noun, and few floors."""
    names = [name for name, path in MODULES.items() if path.parent == folder]
    inside = collapsed(IMPORTS, {name: name for name in names})

    assert len(list(folder.glob("[!_]*.py"))) <= ROOM_MODULES or folder.name in ONE_FILE_A_NOUN
    assert floors(inside) <= FLOORS


def test_a_public_class_name_is_given_once() -> None:
    """Each public class of the product can be found by its name alone."""
    homes = defaultdict(list)
    for name, path in MODULES.items():
        for node in parsed(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].append(name)

    assert {name: found for name, found in homes.items() if len(found) > 1} == {}
