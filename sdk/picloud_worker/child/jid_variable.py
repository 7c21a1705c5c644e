"""Sets PICLOUD_JID: the jid of the job, for user code and the programs it starts.

Not by `os.environ[...] = `: the C library keeps every value it was ever given that way, which took
65 bytes a job for ever. It is given one piece of memory instead, which is written over.
"""

from __future__ import annotations

import ctypes
import os
from functools import cache
from typing import Any, Final

_NAME: Final = "PICLOUD_JID"
_DIGITS: Final = 20
_TEXT: Final = ctypes.create_string_buffer(len(_NAME) + 1 + _DIGITS + 1)
"""The environment of this process points here once a jid was named: it must never go away."""


def set_jid(jid: int) -> None:
    """Say which job this process runs from now on."""
    _TEXT.value = f"{_NAME}={jid}".encode()
    # Each time, as a job may have taken it out of the environment.
    _putenv()(_TEXT)
    # What Python itself shows, written without telling the C library a second time.
    known = os.environ._data  # type: ignore[attr-defined]  # noqa: SLF001
    known[_NAME.encode()] = str(jid).encode()


@cache
def _putenv() -> Any:
    return ctypes.CDLL(None).putenv
