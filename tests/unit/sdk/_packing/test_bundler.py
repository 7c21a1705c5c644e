"""The user's own modules travel along, all that is needed and nothing of others."""

from __future__ import annotations

import os
import sys
import zipfile
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import LazyLoader, find_spec, module_from_spec, spec_from_file_location
from types import ModuleType
from typing import TYPE_CHECKING, Any

import cloudpickle
import pytest
from cloud._packing.packer import Packer
from picloud_model import wire

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.sdk._packing.conftest import Project


def test_a_single_module_travels(project: Project, elsewhere: Callable[..., Any]) -> None:
    """A function of a local module runs there with the globals of its module."""
    project.write(solo="count = 1\ndef bump():\n  global count\n  count += 1\n  return count")

    assert elsewhere(project.load("solo").bump) == 2


def test_imports_of_imports_travel(project: Project, elsewhere: Callable[..., Any]) -> None:
    """What a module imports travels, and what that imports, at the top or inside functions."""
    project.write(
        first="import second\ndef go(): return second.go()",
        second="def go():\n  from third import value\n  return value",
        third="import fourth as f\nvalue = f.value",
        fourth="value = 'far'",
    )

    assert elsewhere(project.load("first").go) == "far"


def test_a_package_travels_whole(
    project: Project, packer: Packer, paths: Callable[..., list[str]]
) -> None:
    """Each source and data file of a package goes along, imported or not, and nothing else does."""
    project.write(
        pkg__init="", pkg__a="", pkg__sub__init="", pkg__sub__b="def f(): pass", other="", setup=""
    )
    (project.root / "pkg" / "data.csv").write_text("1")
    project.write(pkg__node_modules__x="", pkg__plain__c="")
    (project.root / "pkg" / "venv").mkdir()
    (project.root / "pkg" / "venv" / "pyvenv.cfg").write_text("")
    project.write(pkg__venv__d="")

    packed = packer.function(project.load("pkg.sub.b").f)

    assert paths(packed.bundle) == [
        "pkg/__init__.py",
        "pkg/a.py",
        "pkg/data.csv",
        "pkg/plain/c.py",
        "pkg/sub/__init__.py",
        "pkg/sub/b.py",
    ]


def test_data_of_a_package_travels_up_to_a_limit(
    project: Project, paths: Callable[..., list[str]]
) -> None:
    """All of it or none; the bundle says what is left out. A changed file is sent again."""
    limit = [10]
    packer = Packer(data_limit=lambda: limit[0])
    project.write(pkg__init="def f(): pass")
    data = project.root / "pkg" / "word-lists" / "stop.txt"
    data.parent.mkdir()
    data.write_text("the a")
    for name in ("debug.log", ".hidden", "old.pyc"):
        (data.parent / name).write_text("")
    func = project.load("pkg").f
    packed = packer.function(func).bundle
    assert paths(packed) == ["pkg/__init__.py", "pkg/word-lists/stop.txt"]
    assert dict(packed.sizes) == {"pkg/__init__.py": 13, "pkg/word-lists/stop.txt": 5}

    data.write_text("the a an of")

    left = packer.function(func).bundle
    assert paths(left) == ["pkg/__init__.py"]
    assert left.left_out == ("pkg: 11 bytes of data, and cloud.config.package_data is 10",)
    limit[0] = 11
    assert b"the a an of" in packer.function(func).bundle.files.values()


def test_data_of_many_files_stays(project: Project, packer: Packer) -> None:
    """A package with more than 1,000 data files travels without them."""
    project.write(pkg__init="def f(): pass")
    for number in range(1001):
        (project.root / "pkg" / f"{number}.txt").touch()

    bundle = packer.function(project.load("pkg").f).bundle

    assert bundle.left_out == ("pkg: more than 1,000 data files",)
    assert len(bundle.files) == 1


def test_relative_and_lazy_imports_work_there(
    project: Project, elsewhere: Callable[..., Any]
) -> None:
    """Relative imports at the top, lazy ones and literal `import_module` find their modules."""
    project.write(
        pkg__init="from .core import go",
        pkg__core=(
            "from importlib import import_module\nfrom . import near\nfrom .sub.deep import deep\n"
            "def go():\n  from .late import late\n  import beside\n"
            "  return near.near, deep, late, beside.beside, import_module('literal').literal"
        ),
        pkg__near="near = 1",
        pkg__late="late = 3",
        pkg__sub__init="",
        pkg__sub__deep="from ..near import near\ndeep = near + 1",
        beside="beside = 4",
        literal="literal = 5",
    )

    assert elsewhere(project.load("pkg").go) == (1, 2, 3, 4, 5)


def test_closures_of_a_package_import_relatively_there(
    project: Project, elsewhere: Callable[..., Any]
) -> None:
    """A nested function, which travels by value, still imports from its package."""
    project.write(
        pkg__init="",
        pkg__maker=(
            "def make(n):\n  def inner():\n    from .near import x\n    return x + n\n"
            "  return inner"
        ),
        pkg__near="x = 40",
    )

    assert elsewhere(project.load("pkg.maker").make(2)) == 42


def test_closures_that_need_no_module_bring_none(project: Project, packer: Packer) -> None:
    """A function that travels by value brings no modules it does not use."""
    project.write(maker="import beside\ndef make(n): return lambda: n", beside="")

    assert packer.function(project.load("maker").make(2)).bundle.digest == ""


def test_modules_in_globals_travel(project: Project, elsewhere: Callable[..., Any]) -> None:
    """Modules, functions and classes a lambda uses bring their source; so do lazy imports."""
    project.write(
        tools="def f(): return 1\nclass C: x = 2", late="y = 3", pkg__init="", pkg__m="z = 4"
    )
    scope: dict[str, Any] = {"tools": project.load("tools"), "pkg": project.load("pkg")}
    project.load("pkg.m")
    code = "def job():\n  import late\n  return tools.f(), tools.C.x, late.y, pkg.m.z"
    exec(code, scope)  # a function of no module, as in a notebook

    assert elsewhere(scope["job"]) == (1, 2, 3, 4)


def test_namespace_packages_travel_in_part(
    project: Project, elsewhere: Callable[..., Any], paths: Callable[..., list[str]], packer: Packer
) -> None:
    """Of directories without `__init__.py` goes what is used, as such a directory may be a home."""
    project.write(
        space__unused="",
        space__used=(
            "from space import other\nfrom .inner.pkg import deep\ndef f(): return other.x + deep.y"
        ),
        space__other="x = 1",
        space__inner__pkg__init="",
        space__inner__pkg__deep="y = 2",
        space__inner__unused="",
    )
    func = project.load("space.used").f

    assert elsewhere(func) == 3
    assert paths(packer.function(func).bundle) == [
        "space/inner/pkg/__init__.py",
        "space/inner/pkg/deep.py",
        "space/other.py",
        "space/used.py",
    ]


def test_a_namespace_in_two_directories_travels(
    project: Project, tmp_path: Path, elsewhere: Callable[..., Any]
) -> None:
    """Portions of a namespace package from several places on the path meet in one tree."""
    project.write(space__one="from space.two import x\ndef f(): return x")
    (tmp_path / "second" / "space").mkdir(parents=True)
    (tmp_path / "second" / "space" / "two.py").write_text("x = 2")
    sys.path.append(str(tmp_path / "second"))

    assert elsewhere(project.load("space.one").f) == 2


@pytest.mark.parametrize(
    "func", [len, os.path.join, cloudpickle.dumps, Packer.function, pytest.fixture, wire.encode]
)
def test_what_every_slot_has_stays(packer: Packer, func: Any) -> None:
    """The standard library, installed distributions and PiCloud itself are not sent."""
    assert packer.function(func).bundle.digest == ""


def test_installed_code_stays(project: Project, packer: Packer, tmp_path: Path) -> None:
    """A package below site-packages is not sent, even where a local module imports it."""
    site = tmp_path / "venv" / "lib" / "site-packages"
    site.mkdir(parents=True)
    (site / "installed.py").write_text("x = 1")
    sys.path.append(str(site))
    project.write(solo="import installed\ndef f(): return installed.x")

    packed = packer.function(project.load("solo").f)

    manifest = wire.decode(packed.bundle.manifest, wire.Manifest)
    assert [module.path for module in manifest.modules] == ["solo.py"]


def test_editable_distributions_travel(
    project: Project, elsewhere: Callable[..., Any], tmp_path: Path
) -> None:
    """A distribution installed editable is the user's own: found by its finder, sent whole."""
    source = tmp_path / "checkout" / "src" / "mine"
    source.mkdir(parents=True)
    (source / "__init__.py").write_text("")
    (source / "inner.py").write_text("x = 6")

    class Finder:
        """What an editable install leaves in `sys.meta_path`."""

        @staticmethod
        def find_spec(name: str, _path: object = None, _target: object = None) -> Any:
            if name != "mine":
                return None
            return spec_from_file_location(
                name, source / "__init__.py", submodule_search_locations=[str(source)]
            )

    sys.meta_path.append(Finder)
    project.write(solo="def f():\n  import mine.inner\n  return mine.inner.x")
    try:
        assert elsewhere(project.load("solo").f) == 6
    finally:
        sys.meta_path.remove(Finder)


def test_modules_in_an_archive_travel(
    project: Project, elsewhere: Callable[..., Any], tmp_path: Path
) -> None:
    """Source in a zip file on the path is sent like any other."""
    with zipfile.ZipFile(tmp_path / "lib.zip", "w") as archive:
        archive.writestr("zipped/__init__.py", "from .core import f")
        archive.writestr("zipped/core.py", "import single\ndef f(): return single.x")
        archive.writestr("zipped/data.txt", "")
        archive.writestr("single.py", "x = 7")
    sys.path.append(str(tmp_path / "lib.zip"))

    assert elsewhere(project.load("zipped").f) == 7


@pytest.mark.parametrize("name", ["plugged", "nowhere.plugged"])
def test_a_module_loaded_by_path_travels(
    tmp_path: Path, elsewhere: Callable[..., Any], name: str
) -> None:
    """A module that some loader put among the imported ones is sent under its name."""
    (tmp_path / "plug in.py").write_text("def f(): return __name__")
    spec = spec_from_file_location(name, tmp_path / "plug in.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules |= {name: module, "nowhere": ModuleType("nowhere")}
    try:
        assert elsewhere(module.f) == name
    finally:
        del sys.modules[name], sys.modules["nowhere"]


def test_compiled_modules_stay(
    project: Project, packer: Packer, paths: Callable[..., list[str]]
) -> None:
    """Of a package with compiled parts the source is sent; a compiled module alone is left out."""
    project.write(pkg__init="def f():\n  import fast", pkg__slow="")
    (project.root / "pkg" / f"quick{EXTENSION_SUFFIXES[0]}").write_bytes(b"\x7fELF")
    (project.root / f"fast{EXTENSION_SUFFIXES[0]}").write_bytes(b"\x7fELF")

    packed = packer.function(project.load("pkg").f)

    assert paths(packed.bundle) == ["pkg/__init__.py", "pkg/slow.py"]


def test_broken_neighbours_do_no_harm(project: Project, elsewhere: Callable[..., Any]) -> None:
    """A file of the package that does not compile is sent like the others and harms none."""
    project.write(pkg__init="def f(): return 9", pkg__broken="def (:", pkg__odd="x = '\\d'")
    (project.root / "pkg" / "nul.py").write_bytes(b"\x00\xff")

    assert elsewhere(project.load("pkg").f) == 9


def test_links_in_circles_end(
    project: Project, packer: Packer, paths: Callable[..., list[str]]
) -> None:
    """A linked directory is followed, and one that leads back to itself is not."""
    project.write(pkg__init="def f(): pass", pkg__sub__init="", aside__x="")
    (project.root / "pkg" / "sub" / "back").symlink_to(project.root / "pkg")
    (project.root / "pkg" / "linked").symlink_to(project.root / "aside")

    packed = packer.function(project.load("pkg").f)

    assert paths(packed.bundle) == ["pkg/__init__.py", "pkg/linked/x.py", "pkg/sub/__init__.py"]


def test_lazy_modules_travel(project: Project, elsewhere: Callable[..., Any]) -> None:
    """A module that loads when first used is sent like any other."""
    project.write(heavy="x = 11")
    spec = find_spec("heavy")
    assert spec is not None
    assert spec.loader is not None
    spec.loader = LazyLoader(spec.loader)
    scope = {"heavy": module_from_spec(spec)}
    sys.modules["heavy"] = scope["heavy"]
    spec.loader.exec_module(scope["heavy"])
    exec("def job(): return heavy.x", scope)

    assert elsewhere(scope["job"]) == 11
