"""Sets PICLOUD_JID and PICLOUD_SEED, for user code and the programs that it starts.

Not by `os.environ[...] = `: the C library keeps every value it was ever given that way, which took
65 bytes a job forever. It is given one piece of memory instead, which is overwritten.
"""

from __future__ import annotations

import ctypes
import os
from functools import cache
from typing import Any, Final

_DIGITS: Final = 20


class NumberVariable:
    """An environment variable that holds a whole number of at most 20 digits.

    The environment of the process points into it once it was set: it must never be collected.
    """

    def __init__(self, name: str) -> None:
        self.name: Final = name.encode()
        self.value: bytes | None = None
        self._text = ctypes.create_string_buffer(len(name) + 1 + _DIGITS + 1)

    def set(self, number: int) -> None:
        """Set the variable."""
        self.value = value = str(number).encode()
        self._text.value = self.name + b"=" + value
        # Each time, as a job may have removed it from the environment.
        _putenv()(self._text)
        # What Python itself shows, written without the C library's copy.
        known = os.environ._data  # type: ignore[attr-defined]  # noqa: SLF001
        known[self.name] = value

    def remove(self) -> None:
        """Remove the variable."""
        self.value = None
        os.unsetenv(self.name)
        known = os.environ._data  # type: ignore[attr-defined]  # noqa: SLF001
        known.pop(self.name, None)


@cache
def _putenv() -> Any:
    return ctypes.CDLL(None).putenv


JID: Final = NumberVariable("PICLOUD_JID")
SEED: Final = NumberVariable("PICLOUD_SEED")
VARIABLES: Final = (JID, SEED)
