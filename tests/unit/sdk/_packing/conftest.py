"""What the tests of packing share: a packer, projects of the user's, and a far Python."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

import pytest
from cloud._packing.packer import Packer

from tests.unit.sdk._packing.travel import arrive, lay_out, post

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cloud._packing.bundler import Bundle


@pytest.fixture
def packer() -> Packer:
    """A packer that has packed nothing yet."""
    return Packer()


class Project:
    """A directory of the user's on the path; its modules are forgotten after the test."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, **files: str) -> None:
        """Write files: `pkg__sub__mod="..."` is `pkg/sub/mod.py`; `init` is `__init__`."""
        for name, text in files.items():
            parts = ["__init__" if part == "init" else part for part in name.split("__")]
            path = self.root.joinpath(*parts).with_suffix(".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def load(self, name: str) -> Any:
        """Import a module of the project."""
        importlib.invalidate_caches()
        return importlib.import_module(name)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """An empty project on the path."""
    root = tmp_path / "project"
    root.mkdir()
    path, modules = list(sys.path), set(sys.modules)
    sys.path.insert(0, str(root))

    yield Project(root)

    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]
    importlib.invalidate_caches()


@pytest.fixture
def elsewhere(tmp_path: Path) -> Callable[..., Any]:
    """Calls a function in a fresh Python that has only what was packed; returns its outcome."""

    def call(func: Any, *args: Any, **kwargs: Any) -> Any:
        post(tmp_path / "luggage", "it", func, *args, **kwargs)
        return arrive(tmp_path / "luggage")["it"]

    return call


@pytest.fixture
def paths(tmp_path: Path) -> Callable[[Bundle], list[str]]:
    """The paths of the files in a bundle, each checked to be there."""

    def listed(bundle: Bundle) -> list[str]:
        return lay_out(bundle, tmp_path / f"tree-{bundle.digest[:8]}")

    return listed
