"""What an examination has found."""

from __future__ import annotations

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """What one check has found.

    `detail` says what works, or what does not and what to do about it.
    """

    check: str
    detail: str
    ok: bool = True
