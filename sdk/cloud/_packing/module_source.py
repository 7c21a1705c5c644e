"""Finds the source of a module without importing it, and tells whether it is the user's own."""

from __future__ import annotations

import logging
import os
import sys
import sysconfig
from enum import Enum
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from importlib.machinery import ModuleSpec

log = logging.getLogger(__name__)

_OWN: Final = frozenset(
    (
        *("cloud", "picloud", "picloud_api", "picloud_driver", "picloud_jobspecs"),
        *("picloud_model", "picloud_http", "picloud_pickle", "picloud_worker", "cloudpickle"),
    )
)
"""Packages that every slot has, in its own version."""
_MAIN: Final = frozenset(("__main__", "__mp_main__"))
_INSTALLED: Final = frozenset(("site-packages", "dist-packages"))
_BESIDE_OS: Final = f"{Path(os.__file__).parent}{os.sep}"
"""What the paths of the standard library's own modules begin with."""


class ModuleKind(Enum):
    """The kind of source that a module has."""

    FOREIGN = "foreign"
    """Standard library, installed, built in or compiled: the slot has it or not."""
    MISSING = "missing"
    """No such module on this machine."""
    MODULE = "module"
    """A single source file of the user's."""
    PACKAGE = "package"
    """A directory with `__init__.py`; it travels whole."""
    NAMESPACE = "namespace"
    """Directories without `__init__.py`; only what is used of them travels."""


class ModuleSource(msgspec.Struct, frozen=True):
    """Where a module's source is.

    `paths` holds the file of a MODULE or the directories of a PACKAGE or NAMESPACE; with `archive`
    they are names inside that zip file.
    """

    kind: ModuleKind
    paths: tuple[str, ...] = ()
    archive: str = ""


FOREIGN: Final = ModuleSource(ModuleKind.FOREIGN)
MISSING: Final = ModuleSource(ModuleKind.MISSING)


class _Allowed:
    """Which modules may travel: None for all."""

    names: frozenset[str] | None = None


def allow_only(names: Iterable[str] | None) -> None:
    """Let only these modules travel, and what is inside them; None for all."""
    _Allowed.names = None if names is None else frozenset(names)
    may_be_local.cache_clear()


def allowed() -> frozenset[str] | None:
    """Return the names that were last given to `allow_only`."""
    return _Allowed.names


@lru_cache(maxsize=10_000)
def may_be_local(name: object) -> bool:
    """Whether a module's name alone leaves open that it is the user's own.

    >>> may_be_local("os.path"), may_be_local("cloud.bucket"), may_be_local("mine.model")
    (False, False, True)
    """
    if not isinstance(name, str):
        return False
    top = name.partition(".")[0]
    return _is_allowed(name) and not (top in _OWN or top in _MAIN or _is_standard(top))


def _is_allowed(name: str) -> bool:
    names = _Allowed.names
    return names is None or any(name == each or name.startswith(f"{each}.") for each in names)


def find(name: str, parents: Sequence[str] | None = None) -> ModuleSource:
    """Find a module as `import` would: among those imported already, then along the path.

    Args:
        name: The full dotted name.
        parents: Directories of the namespace that contains it; None for a top-level name.
    """
    scope = _scope(name)
    spec = scope.get("__spec__")
    if spec is None and scope.get("__file__"):
        return _module(str(Path(scope["__file__"]).absolute()))
    spec = spec or _spec_of(name, parents)
    return MISSING if spec is None else _source(spec)


def source_file(name: str) -> str | None:
    """Return the Python file an imported module came from, if it is imported and came from one."""
    path = _scope(name).get("__file__")
    return path if isinstance(path, str) and path.endswith(".py") else None


def is_foreign(path: str) -> bool:
    """Whether a file or directory belongs to Python or to an installed distribution."""
    # Not by `pathlib`, as this is asked of every module that travels.
    real = os.path.join(os.path.realpath(path), "")  # noqa: PTH118
    return real.startswith(_standard()) or not _INSTALLED.isdisjoint(real.split(os.sep))  # noqa: PTH206


@cache
def _is_standard(top: str) -> bool:
    """Whether a top-level name is the standard library's; warns once of a local file named so."""
    if top not in sys.stdlib_module_names:
        return False
    path = source_file(top)
    # Most are where `os` is: to resolve their paths would take most of the time of a first call.
    if path and not path.startswith(_BESIDE_OS) and not is_foreign(path):
        log.warning("%s is not sent, as Python itself has a module %r; rename yours", path, top)
    return True


@cache
def _standard() -> tuple[str, ...]:
    """Return the directories of the standard library, each with a separator at its end."""
    named = [sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")]
    # Windows' embeddable Python has it in a zip file, which only its modules know.
    named.append(str(Path(sysconfig.__file__).parent))
    return tuple({os.path.join(os.path.realpath(path), "") for path in named})  # noqa: PTH118


def _scope(name: str) -> dict[str, Any]:
    """Return the globals of a module that is imported, else nothing."""
    module = sys.modules.get(name)
    # object's own access: a lazy module would begin to load when asked for anything.
    return {} if module is None else object.__getattribute__(module, "__dict__")


def _spec_of(name: str, parents: Sequence[str] | None) -> ModuleSpec | None:
    # importlib.util.find_spec would import the parents: no code of the user's runs for packing.
    for finder in sys.meta_path:
        try:
            spec = finder.find_spec(name, parents)
        except Exception:  # noqa: BLE001, S112 -- finders are anybody's code; the next one may know
            continue
        if spec is not None:
            return spec
    return None


def _source(spec: ModuleSpec) -> ModuleSource:
    archive = getattr(spec.loader, "archive", "")
    inside = spec.submodule_search_locations
    if inside is None:
        return _module(spec.origin or "", archive)
    dirs = tuple(path for path in inside if not is_foreign(path))
    if not dirs or (spec.origin and is_foreign(spec.origin)):
        return FOREIGN
    if spec.origin is None:
        return ModuleSource(ModuleKind.NAMESPACE, dirs)
    if not spec.origin.endswith("__init__.py"):
        return FOREIGN
    return ModuleSource(ModuleKind.PACKAGE, dirs, archive)


def _module(origin: str, archive: str = "") -> ModuleSource:
    if not origin.endswith(".py") or is_foreign(origin):
        return FOREIGN
    return ModuleSource(ModuleKind.MODULE, (origin,), archive)
