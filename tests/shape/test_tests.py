"""How the tests are laid out: they are found by the name of what they test, and stand alone."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from tests.shape.graph import ONE_FILE_A_NOUN, ROOT, modules, nodes

if TYPE_CHECKING:
    from pathlib import Path

TESTS = sorted((ROOT / "tests").rglob("*.py"))
UNIT = ROOT / "tests" / "unit"
TESTED = {
    "picloud_api": UNIT / "api",
    "picloud_worker": UNIT / "worker",
    "picloud_model": UNIT / "model",
    "cloud": UNIT / "sdk",
}
"""Packages each module of which has a unit test of its name, in a folder of its room's name.

Rooms with one file a noun are exempt, and so are the modules that users import: they hold no rules,
so the end-to-end test of a noun covers them.
"""


def test_each_module_has_a_test_of_its_name() -> None:
    """To find what holds a module's promises, open the test file of the same name."""
    missing = []
    for path in modules().values():
        _, package, *room, module = path.relative_to(ROOT).parts
        exempt = module.startswith("__") or not {*room}.isdisjoint(ONE_FILE_A_NOUN)
        exempt |= package == "cloud" and not room
        if package in TESTED and not exempt:
            test = TESTED[package].joinpath(*room, f"test_{module.lstrip('_')}")
            missing += [] if test.exists() else [str(test.relative_to(ROOT))]

    assert missing == []


@pytest.mark.parametrize("path", TESTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_test_module_stands_alone(path: Path) -> None:
    """What tests share is in a module of its own: no test module is imported, nothing patched."""
    offenders = []
    for node in nodes(path):
        if isinstance(node, ast.ImportFrom):
            imported = [node.module or "", *(alias.name for alias in node.names)]
            offenders += [name for name in imported if name.rpartition(".")[2].startswith("test_")]
        elif isinstance(node, ast.Attribute) and node.attr in {"setattr", "delattr"}:
            offenders.append(ast.unparse(node))

    assert offenders == []
