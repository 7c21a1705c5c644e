"""The image of the base environment: its name and whether this Python fits it."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Final

REPOSITORY: Final = "picloud/base"
PYTHON: Final = (3, 11)
"""The Python of the image; it cannot unpickle functions of another minor version."""
_IN_IMAGE: Final = (
    *("picloud_model", "picloud_http", "picloud_pickle"),
    *("cloud", "picloud_worker", "picloud"),
)
"""Packages that run in a slot. They are only read as files: the server imports no SDK."""


@cache
def tag() -> str:
    """Return the tag, a digest of the worker's source: server and worker must be of one build.

    >>> len(tag())
    21
    """
    digest = sha256()
    for package in _IN_IMAGE:
        for folder in map(Path, locations(package)):
            for path in sorted(folder.rglob("*.py")):
                digest.update(f"{package}/{path.relative_to(folder)}\0".encode())
                digest.update(path.read_bytes() + b"\0")
    return f"bookworm-{digest.hexdigest()[:12]}"


def locations(package: str) -> list[str]:
    """Return the directories of a package without importing it."""
    # Not from `sys.modules`: an imported package may have extended its path.
    spec = PathFinder.find_spec(package)
    return list(spec.submodule_search_locations or ()) if spec else []


def reference() -> str:
    """Return the full name of the image."""
    return f"{REPOSITORY}:{tag()}"


def unfit(python: tuple[int, int]) -> str:
    """Return why functions packed by a version of Python cannot run in the image, or ""."""
    if python == PYTHON:
        return ""
    versions = (".".join(map(str, version)) for version in (PYTHON, python))
    return "the image has Python {}, and this is Python {}".format(*versions)
