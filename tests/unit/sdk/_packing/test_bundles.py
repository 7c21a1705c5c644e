"""Bundles follow the files on disk, have a limit, and the same name in every process."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cloud._packing.bundler import MAX_BYTES
from cloud._packing.errors import PackingError
from cloud._packing.packer import Packer
from cloud._packing.values import Needs

from tests.unit.sdk._packing.travel import run

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.sdk._packing.conftest import Project


def age(directory: Path) -> None:
    """Let every file look a minute old, so that its stamp is trusted."""
    for path in [directory, *directory.rglob("*")]:
        then = path.stat().st_mtime - 60.5
        os.utime(path, (then, then))


def test_classes_of_arguments_bring_their_modules(
    project: Project, elsewhere: Callable[..., Any]
) -> None:
    """An instance of a local class as argument works although the function knows nothing of it."""
    project.write(shapes="from dataclasses import dataclass\n@dataclass\nclass Box:\n  side: int")

    assert elsewhere(lambda box: box.side**2, project.load("shapes").Box(3)) == 9


def test_arguments_without_modules_leave_the_bundle(project: Project, packer: Packer) -> None:
    """A function's bundle serves when its arguments need nothing more."""
    project.write(solo="def f(x): pass\nclass C: pass")
    solo = project.load("solo")
    packed, needs = packer.function(solo.f), Needs()

    packer.arguments((1, [2.0], solo.C()), {"k": solo.f}, needs)

    assert needs.modules == {"solo"}
    assert packer.bundle(packed, needs.modules) is packed.bundle


def test_unchanged_code_is_the_same_bundle(project: Project, packer: Packer) -> None:
    """The same files give the same digest, in another packer too, and the second look is cheap."""
    project.write(pkg__init="def f(): pass", pkg__a="")
    func = project.load("pkg").f
    age(project.root)

    first, again = packer.function(func), packer.function(func)

    assert again.bundle is first.bundle
    assert again.digest == first.digest
    assert Packer().function(func).bundle == first.bundle


@pytest.mark.parametrize("aged", [False, True])
def test_changed_code_is_another_bundle(project: Project, packer: Packer, aged: bool) -> None:
    """A file changed on disk is sent anew, even within the same tick and at the same size."""
    project.write(pkg__init="def f(): pass", pkg__a="x = 1")
    func = project.load("pkg").f
    if aged:
        age(project.root)
    before = packer.function(func).bundle

    project.write(pkg__a="x = 2")
    changed = packer.function(func).bundle
    project.write(pkg__a="x = 1")

    assert changed.digest != before.digest
    assert packer.function(func).bundle.digest == before.digest


def test_new_files_are_sent(
    project: Project, packer: Packer, paths: Callable[..., list[str]]
) -> None:
    """A file added to the package, or one that an import lacked, is found by the next call."""
    project.write(pkg__init="def f():\n  import lacking")
    func = project.load("pkg").f
    age(project.root)
    packer.function(func)

    project.write(pkg__more="", lacking="")

    assert paths(packer.function(func).bundle) == ["lacking.py", "pkg/__init__.py", "pkg/more.py"]


@pytest.mark.parametrize("name", ["solo", "pkg.part", "pkg"])
def test_a_file_that_was_deleted_is_named(project: Project, packer: Packer, name: str) -> None:
    """An imported module whose source has vanished cannot be sent; the error says which."""
    project.write(solo="def f(): pass", pkg__init="def f(): pass", pkg__part="def f(): pass")
    module = project.load(name)
    packer.function(module.f)
    path = Path(module.__file__)
    path.unlink()
    if name == "pkg":
        shutil.rmtree(path.parent)

    with pytest.raises(
        PackingError, match=rf"module '{name}': its source .*{path.parent.name}.* was deleted"
    ):
        packer.function(module.f)


def test_a_bundle_has_a_limit(project: Project, packer: Packer) -> None:
    """More source than a bundle holds is refused before it is read, and the largest are named."""
    project.write(pkg__init="def f(): pass", pkg__small="", pkg__large="")
    os.truncate(project.root / "pkg" / "large.py", MAX_BYTES)

    with pytest.raises(
        PackingError, match=r"67 MB of source .* largest are \S+large.py \(67.1 MB\)"
    ):
        packer.function(project.load("pkg").f)


def test_no_code_of_the_user_runs(project: Project, packer: Packer) -> None:
    """Finding modules imports none and writes nothing next to them."""
    project.write(
        solo="def f():\n  import grim", grim="raise SystemExit", pkg__init="raise SystemExit"
    )
    func = project.load("solo").f
    before = sorted(project.root.rglob("*"))

    packer.function(func)

    assert "grim" not in sys.modules
    assert sorted(project.root.rglob("*")) == before


DIGESTS = """
import sys
from cloud._packing.packer import Packer
sys.path.insert(0, sys.argv[1])
import pkg
k = 2
packer = Packer()
for func in (pkg.f, lambda x: (x, k, pkg.f, {"a": 1, "b": 2})):
    packed = packer.function(func)
    print(packed.digest, packed.bundle.digest)
"""


def test_digests_are_the_same_in_every_process(project: Project) -> None:
    """Whatever the hash seed, the same code has the same name and is stored once."""
    project.write(
        pkg__init="from . import a, b, c\ndef f(): return {'x', 'y'}", pkg__a="", pkg__b=""
    )
    project.write(pkg__c="import beside", beside="")

    said = {
        run(
            [sys.executable, "-c", DIGESTS, str(project.root)],
            project.root,
            environment={"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2", "3")
    }

    assert len(said) == 1


SHADOW = """
import sys
sys.path.insert(0, sys.argv[1])
import this
from cloud._packing.packer import Packer
print(repr(Packer().function(this.f).bundle.digest))
"""


def test_a_local_file_named_like_python_s_own_is_told(project: Project) -> None:
    """A local module with a name of the standard library's would break it there: it stays."""
    project.write(this="def f(): pass")

    done = run([sys.executable, "-c", SHADOW, str(project.root)], project.root)

    assert done.stdout == "''\n"
    assert "this.py is not sent, as Python itself has a module 'this'; rename yours" in done.stderr
