"""Which versions of distributions a process has; jobs run this, too."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

PYTHON: Final = "python"
"""Stands for Python itself among the names of distributions."""


def versions_of(names: Iterable[str]) -> dict[str, str | None]:
    """Return the version of each distribution, or None if it is not installed here.

    >>> versions_of(["no-such-distribution"])
    {'no-such-distribution': None}
    """
    return {name: _version(name) for name in names}


def _version(name: str) -> str | None:
    if name == PYTHON:
        return platform.python_version()
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
