"""The worker's packages, as environments import them: a directory of links to what is installed.

Environments name this directory in a `.pth` file, behind their own packages. So they run the worker
of this server also after an upgrade, and find none of its other packages.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
from pathlib import Path
from secrets import token_hex
from typing import Final

from picloud_model.pack import PYTHON

_OWN: Final = ("cloud", "picloud_http", "picloud_model", "picloud_pickle", "picloud_worker")
_PURE: Final = ("cloudpickle", "platformdirs", "tblib")
_COMPILED: Final = ("msgspec",)
CHECK: Final = "start the worker"
"""The step of a build that finds out whether slots can start with its packages."""
IMPORT: Final = (
    *("-P", "-B", "-c"),
    "import picloud_worker.__main__, picloud_worker.zygote.process, picloud_worker.child.loop",
)
"""Arguments with which the Python of an image imports what a slot does; nothing is compiled."""


def link(folder: Path, python: str) -> None:
    """Make or renew the links for interpreters of a minor version."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [*_OWN, *_PURE, *(_COMPILED if python == PYTHON else ())]
    for name in names:
        target, entry = _directory(name), folder / name
        if entry.is_symlink() and entry.readlink() == target:
            continue
        # Replaced in one step: slots may be starting.
        fresh = folder / f".{name}.{token_hex(4)}"
        fresh.symlink_to(target)
        fresh.replace(entry)


def missing(folder: Path, python: str) -> list[str]:
    """Return the requirements that have to be installed into the directory of another Python."""
    if python == PYTHON:
        return []
    return [
        f"{name}=={importlib.metadata.version(name)}"
        for name in _COMPILED
        if not (folder / name).is_dir()
    ]


def constraints() -> str:
    """Return the versions of its dependencies with which the worker runs, as a file of constraints.

    >>> [re.split("[<>=]", each)[0] for each in constraints().splitlines()]
    ['cloudpickle', 'msgspec', 'platformdirs', 'tblib']
    """
    declared = importlib.metadata.requires("picloud") or []
    wanted = {*_PURE, *_COMPILED}
    found = sorted(each for each in declared if re.split(r"[^A-Za-z0-9_-]", each)[0] in wanted)
    return "".join(f"{each}\n" for each in found)


def _directory(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    locations = spec.submodule_search_locations if spec else None
    if not locations:
        raise ModuleNotFoundError(f"{name} is not installed")
    return Path(next(iter(locations)))
