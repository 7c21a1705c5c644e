"""A pickle tells which bundles hold the modules that it names."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

from picloud_model.wire import bundles_of
from picloud_pickle.results.code import CodeTrees

if TYPE_CHECKING:
    from pathlib import Path

ONE, TWO = "ab" * 32, "cd" * 32


def trees(root: Path) -> CodeTrees:
    """Two bundles, of a package and of a module."""
    made = CodeTrees()
    for digest, name in ((ONE, "shapes/__init__.py"), (TWO, "lonely.py")):
        file = root / digest / name
        file.parent.mkdir(parents=True)
        file.touch()
        made.add(digest, str(root / digest))
    return made


def test_the_bundles_of_named_modules_are_attached(tmp_path: Path) -> None:
    """Only bundles with a module that the pickle names are attached, and it still unpickles."""
    data = pickle.dumps(["shapes.area"])

    attached = trees(tmp_path).attach(data)

    assert bundles_of(attached) == [ONE]
    assert bundles_of(memoryview(attached)) == [ONE]
    assert pickle.loads(attached) == ["shapes.area"]


def test_a_result_that_names_no_module_stays_as_it_is(tmp_path: Path) -> None:
    """Results that need no module are not a byte longer."""
    data = pickle.dumps([1, "two"])

    assert trees(tmp_path).attach(data) is data
    assert bundles_of(data) == []


def test_a_large_result_is_not_searched(tmp_path: Path) -> None:
    """A large result names every bundle: a search of it would take longer."""
    data = pickle.dumps(bytes(100_000))

    assert bundles_of(trees(tmp_path).attach(data)) == [ONE, TWO]
