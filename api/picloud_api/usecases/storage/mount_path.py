"""Where in a job volumes may be mounted."""

from __future__ import annotations

import posixpath
import re
from typing import Final

from picloud_model.errors import RequestRefused

_HIDING: Final = frozenset(
    [
        "bin",
        "boot",
        "dev",
        "etc",
        "lib",
        "lib32",
        "lib64",
        "libx32",
        "proc",
        "run",
        "sbin",
        "sys",
        "usr",
    ]
)
"""Directories that a system needs with all that is in them."""
_NEEDED: Final = _HIDING | frozenset(("", "bucket", "home", "root", "tmp", "var"))
"""Directories that must not be hidden; volumes may be mounted below the last of these."""
_MOUNT_PATH: Final = re.compile(r"/[A-Za-z0-9._/+@ -]*")


def checked_mount_path(path: str) -> str:
    """Return a mount path without needless slashes, if a volume may have it.

    Raises:
        RequestRefused: When it is relative, or would hide what programs need.

    >>> checked_mount_path("/data//sets/")
    '/data/sets'
    """
    if not _MOUNT_PATH.fullmatch(path) or not {".", ".."}.isdisjoint(path.split("/")):
        message = f"{path!r:.100} is not a valid mount path: use an absolute path like /data."
        raise RequestRefused(message, field="mount_path")
    clean = posixpath.normpath(f"/{path.lstrip('/')}")
    parts = clean.split("/")[1:]
    if parts[0] in _HIDING or (len(parts) == 1 and parts[0] in _NEEDED):
        message = f"A volume at {clean} would hide files that programs need; use a path like /data."
        raise RequestRefused(message, field="mount_path")
    return clean


def overlap(one: str, other: str) -> bool:
    """Whether one of two mount paths is in the other, or they are the same.

    >>> overlap("/data", "/data/sets"), overlap("/data", "/database")
    (True, False)
    """
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")
