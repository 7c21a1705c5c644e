"""Names and sizes of secrets: checked once, before an adapter uses them."""

from __future__ import annotations

import re
from typing import Final

from picloud_model.errors import RequestRefused, TooLarge

VALUE_BYTES: Final = 64 * 1024
"""Maximum number of bytes of a secret."""

_NAME: Final = re.compile(r"(?=.{1,200}\Z)[A-Za-z0-9_-]+(?:/[A-Za-z0-9_-]+)*")


def checked_name(name: str) -> str:
    """Return the name if it is valid.

    Raises:
        RequestRefused: When a secret may not have this name.

    >>> checked_name("signing/token")
    'signing/token'
    """
    if _NAME.fullmatch(name) is None:
        message = (
            f"{name[:60]!r} cannot name a secret: use parts of letters, digits, '-' and '_', "
            "divided by '/', at most 200 characters in all."
        )
        raise RequestRefused(message, field="name")
    return name


def checked_value(name: str, value: bytes) -> bytes:
    """Return the value if it is valid; an error shows only its size.

    Raises:
        TooLarge: When it is longer than 64 KiB.
    """
    if len(value) > VALUE_BYTES:
        message = f"The secret {name} has {len(value)} bytes; at most {VALUE_BYTES} are kept."
        raise TooLarge(message, field="value")
    return value
