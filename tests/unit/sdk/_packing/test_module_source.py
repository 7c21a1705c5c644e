"""The source of a module is found without importing it, if it is the user's own."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

import cloud
import pytest
from cloud import CloudException
from cloud._packing.module_source import (
    FOREIGN,
    MISSING,
    ModuleKind,
    ModuleSource,
    find,
    is_foreign,
    may_be_local,
    source_file,
)

if TYPE_CHECKING:
    from tests.unit.sdk._packing.conftest import Project


def test_each_kind_of_source_is_found(project: Project) -> None:
    """A file, a package and a namespace; none is imported."""
    project.write(solo="raise SystemExit", pkg__init="raise SystemExit", space__part="")

    assert find("solo") == ModuleSource(ModuleKind.MODULE, (str(project.root / "solo.py"),))
    assert find("pkg") == ModuleSource(ModuleKind.PACKAGE, (str(project.root / "pkg"),))
    assert find("space") == ModuleSource(ModuleKind.NAMESPACE, (str(project.root / "space"),))
    assert find("space.part", [str(project.root / "space")]).kind is ModuleKind.MODULE
    assert not {"solo", "pkg", "space"} & set(sys.modules)


def test_a_module_in_an_archive_is_found(project: Project) -> None:
    """With the archive, and its name inside that."""
    archive = project.root / "code.zip"
    with ZipFile(archive, "w") as file:
        file.writestr("zipped.py", "")
    sys.path.insert(0, str(archive))

    found = find("zipped")

    assert (found.kind, found.archive) == (ModuleKind.MODULE, str(archive))


@pytest.mark.parametrize("name", ["json", "sys", "pytest", "msgspec"])
def test_what_slots_have_or_must_install_is_foreign(name: str) -> None:
    """The standard library, built-in modules and installed distributions."""
    assert find(name) == FOREIGN


def test_what_is_nowhere_is_missing() -> None:
    """An import of it would fail here, too."""
    assert find("nowhere_to_be_found") == MISSING


def test_the_file_of_an_imported_module_is_known(project: Project) -> None:
    """Of one that is not imported, or not from a file, there is none."""
    project.write(solo="")
    assert source_file("solo") is None

    project.load("solo")

    assert source_file("solo") == str(project.root / "solo.py")
    assert source_file("sys") is None
    assert is_foreign(json.__file__)
    assert not is_foreign(str(project.root / "solo.py"))
    assert is_foreign(str(Path("/x/site-packages/solo.py")))


@pytest.mark.parametrize("wrong", ["module", 7, [1], [None], object()])
def test_a_whitelist_is_a_list_of_names(wrong: Any) -> None:
    """Anything else is refused, and the restriction in force stays."""
    with pytest.raises(CloudException, match="list of module names"):
        cloud.set_dependency_whitelist(wrong)


def test_only_modules_of_the_whitelist_travel() -> None:
    """A name stands for what is inside it, too, and not for names that begin alike."""
    cloud.set_dependency_whitelist(["mine", "lib.part"])
    try:
        allowed = [may_be_local(name) for name in ("mine", "mine.a", "mines", "lib", "lib.part.b")]
    finally:
        cloud.set_dependency_whitelist(None)

    assert allowed == [True, True, False, False, True]
    assert may_be_local("mines")
