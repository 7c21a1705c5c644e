"""The base environment: how the image is called that has the worker of this very installation."""

from __future__ import annotations

import sys
from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Final

REPOSITORY: Final = "picloud/base"
PYTHON: Final = (3, 11)
"""Of the image; functions of another minor version cannot be read there."""
_IN_IMAGE: Final = ("picloud_model", "picloud_pickle", "cloud", "picloud_worker", "picloud")
"""Packages that run in a slot. They are only looked at: the server imports no SDK."""


@cache
def tag() -> str:
    """The tag: worker and server speak one language only if they are of one make.

    >>> len(tag())
    21
    """
    digest = sha256()
    for package in _IN_IMAGE:
        for folder in map(Path, found(package)):
            for path in sorted(folder.rglob("*.py")):
                digest.update(f"{package}/{path.relative_to(folder)}\0".encode())
                digest.update(path.read_bytes() + b"\0")
    return f"bookworm-{digest.hexdigest()[:12]}"


def found(package: str) -> list[str]:
    """Where a package lies, without importing it."""
    spec = find_spec(package)
    return list(spec.submodule_search_locations or ()) if spec else []


def reference() -> str:
    """The whole name of the image."""
    return f"{REPOSITORY}:{tag()}"


def unfit() -> str:
    """Why what is packed with this Python cannot run in the image; "" when it can."""
    here = sys.version_info[:2]
    if here == PYTHON:
        return ""
    told = (".".join(map(str, version)) for version in (PYTHON, here))
    return "the image has Python {}, and this is Python {}".format(*told)
