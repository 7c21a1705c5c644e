"""Names of blobs: checked once, before an adapter makes a path or a URL of them."""

from __future__ import annotations

import re
from typing import Final

from picloud_model.errors import RequestRefused

NAME_CHARACTERS: Final = 800
"""Most characters of a name; S3 allows 1,024, including the prefix."""
PART_CHARACTERS: Final = 200
"""Most characters of a part; file systems allow 255."""

_PART: Final = rf"(?!\.{{1,2}}(?:/|\Z))[A-Za-z0-9._-]{{1,{PART_CHARACTERS}}}"
_NAME: Final = re.compile(rf"{_PART}(?:/{_PART})*")


def is_name(name: str) -> bool:
    r"""Whether a blob may have this name.

    >>> [is_name(name) for name in ("a0000001/3f.b", "../key", "a//b", "/etc", "a\n")]
    [True, False, False, False, False]
    """
    return len(name) <= NAME_CHARACTERS and _NAME.fullmatch(name) is not None


def checked_name(name: str) -> str:
    """Return the name if it is valid.

    Raises:
        RequestRefused: When a blob may not have this name.
    """
    if not is_name(name):
        message = (
            f"{name[:60]!r} cannot name a blob; use letters, digits, '-', '_', '.', and '/' between"
            f" parts, at most {PART_CHARACTERS} characters a part and {NAME_CHARACTERS} in all."
        )
        raise RequestRefused(message, field="name")
    return name
