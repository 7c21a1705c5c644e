"""The images of the bases of slots in containers: their names, and which of them fits a Python."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Final

from picloud_driver.docker.slot_base import BASES, SlotBase

REPOSITORY: Final = "picloud/base"

_IN_IMAGE: Final = (
    *("picloud_model", "picloud_http", "picloud_pickle"),
    *("cloud", "picloud_worker", "picloud"),
)
"""Packages that run in a slot. They are only read as files: the server imports no SDK."""


def tag(suite: str = BASES[0].suite) -> str:
    """Return the tag of a base, which ends with the digest of its worker.

    >>> tag("trixie").replace(worker_digest(), "DIGEST")
    'trixie-DIGEST'
    """
    return f"{suite}-{worker_digest()}"


@cache
def worker_digest() -> str:
    """Return a digest of the worker's source: server and worker must be of one build.

    >>> len(worker_digest())
    12
    """
    digest = sha256()
    for package in _IN_IMAGE:
        for folder in map(Path, locations(package)):
            for path in sorted(folder.rglob("*.py")):
                digest.update(f"{package}/{path.relative_to(folder)}\0".encode())
                digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def locations(package: str) -> list[str]:
    """Return the directories of a package without importing it."""
    # Not from `sys.modules`: an imported package may have extended its path.
    spec = PathFinder.find_spec(package)
    return list(spec.submodule_search_locations or ()) if spec else []


def reference(suite: str = BASES[0].suite) -> str:
    """Return the full name of the image of a base."""
    return f"{REPOSITORY}:{tag(suite)}"


def fitting(python: tuple[int, int]) -> SlotBase | None:
    """Return the base in which functions packed by a version of Python can run."""
    return next((each for each in BASES if each.python == python), None)


def unfit(python: tuple[int, int]) -> str:
    """Return why functions packed by a version of Python can run in none of the images.

    >>> unfit((3, 12))
    'the images have Python 3.11 or 3.13, and this is Python 3.12'
    """
    there = " or ".join(each.version for each in BASES)
    return f"the images have Python {there}, and this is Python {'.'.join(map(str, python))}"
