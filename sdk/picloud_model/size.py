"""Sizes as people read them, in the shell and in a browser."""

from __future__ import annotations

from typing import Final

_KILO: Final = 1000
_UNITS: Final = ("kB", "MB", "GB")


def size(count: float) -> str:
    """Return a number of bytes with a unit; a megabyte is 1,000,000 bytes, as in the limits.

    >>> [size(each) for each in (512, 1_500, 22_749_184, 1_500_000_000)]
    ['512 B', '1.5 kB', '22.7 MB', '1.5 GB']
    """
    if count < _KILO:
        return f"{count:.0f} B"
    for unit in _UNITS:
        count /= _KILO
        if count < _KILO:
            return f"{count:.1f} {unit}"
    return f"{count / _KILO:,.1f} TB"
