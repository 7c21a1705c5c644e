"""Imports `asyncssh` without the programs by which it looks for libraries in C."""

from __future__ import annotations

import contextlib
import ctypes.util
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def without_library_search() -> Iterator[None]:
    """Let modules that are imported meanwhile find no library by its name.

    `asyncssh` looks for liboqs and nettle, of which no client needs the algorithms: each search
    runs ldconfig, and gcc and ld where they are installed. That is a seventh of the processor time
    in which a shell server starts.

    >>> with without_library_search():
    ...     ctypes.util.find_library("c")
    >>> ctypes.util.find_library("c") is None
    False
    """
    find = ctypes.util.find_library
    ctypes.util.find_library = lambda name: None  # noqa: ARG005 - found nowhere
    try:
        yield
    finally:
        ctypes.util.find_library = find
