"""Paths in volumes, as users write them: `volume:path`."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from cloud.errors import CloudValueError

_VOLUME_PATH: Final = re.compile(r"(?P<name>[A-Za-z0-9_-]{1,64}):(?P<path>.*)", re.DOTALL)


_VOLUME_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


class VolumePath(msgspec.Struct, frozen=True):
    """A path in a volume, "" for all of it; `contents` if it ends with a slash, as in rsync."""

    name: str
    path: str
    contents: bool

    def __str__(self) -> str:
        return f"{self.name}:{self.path}"


def parsed(text: Any) -> VolumePath | None:
    """Return a path in a volume; None if it is a path of this machine.

    A path with a slash before its first colon is one of this machine.

    Raises:
        CloudException: When it is not text, or leads outside of the volume.

    >>> parsed("data:sets/a/")
    VolumePath(name='data', path='sets/a', contents=True)
    >>> parsed("./data:sets") is None
    True
    """
    if hasattr(text, "__fspath__"):
        return None
    if not isinstance(text, str):
        raise CloudValueError(f"A path is text, not {text!r:.80}.")
    match = _VOLUME_PATH.fullmatch(text)
    if match is None:
        return None
    parts = [part for part in match["path"].split("/") if part not in ("", ".")]
    if ".." in parts or "\0" in match["path"]:
        raise CloudValueError(f"{text!r:.80} leads outside of the volume {match['name']!r}.")
    contents = not parts or match["path"].endswith(("/", "/."))
    return VolumePath(match["name"], "/".join(parts), contents)


def volume_name(name: Any) -> str:
    """Return the name of a volume that is to be created.

    Raises:
        CloudValueError: When it is not a valid one.

    >>> volume_name("my-data")
    'my-data'
    """
    if not isinstance(name, str) or not _VOLUME_NAME.fullmatch(name):
        raise CloudValueError(
            f"{name!r:.80} is not a valid volume name: use 1 to 64 letters, digits, hyphens and "
            "underscores."
        )
    return name


def volume_path(text: Any) -> VolumePath:
    """Return a path in a volume.

    Raises:
        CloudException: When it is not one.
    """
    path = parsed(text)
    if path is None:
        raise CloudValueError(f"{text!r:.80} is not a path in a volume, like data:folder.")
    return path


def joined(folder: str, name: str) -> str:
    """Return a path below a folder; either may be empty.

    >>> joined("", "a"), joined("a", "b"), joined("a", "")
    ('a', 'a/b', 'a')
    """
    return f"{folder}/{name}" if folder and name else folder or name
