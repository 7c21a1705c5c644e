"""The second passwords of notebooks, stored as argon2 hashes."""

from __future__ import annotations

import asyncio
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from argon2 import PasswordHasher

_PREFIX: Final = "argon2:"
"""What the hashes of JupyterLab begin with, which earlier versions of the server stored."""
_MEMORY_KIB: Final = 19 * 1024
_PASSES: Final = 2
_LANES: Final = 1
"""The least that OWASP recommends for argon2id: 19 MiB and 25 ms of one processor."""
_GENERATION: Final = 12


class NotebookPasswords:
    """Hashes and checks passwords, one at a time: each takes memory and a processor for a while."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    async def hash(self, password: str) -> str:
        """Return the hash of a password, with a salt and its parameters."""
        async with self._turn:
            return await asyncio.to_thread(_hasher().hash, password)

    async def is_right(self, stored: str | None, password: str) -> bool:
        """Return whether a password has a hash; it takes as long if there is no hash at all."""
        async with self._turn:
            return await asyncio.to_thread(_verify, stored, password)


def generation(stored: str) -> str:
    """Return what tells a password from those before and after it.

    >>> generation("$argon2id$x")
    '35af7f470575'
    """
    return sha256(stored.encode()).hexdigest()[:_GENERATION]


@cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher  # noqa: PLC0415 - most servers never need it

    return PasswordHasher(time_cost=_PASSES, memory_cost=_MEMORY_KIB, parallelism=_LANES)


@cache
def _of_nobody() -> str:
    return _hasher().hash("")


def _verify(stored: str | None, password: str) -> bool:
    from argon2.exceptions import InvalidHashError, VerificationError  # noqa: PLC0415 - as above

    try:
        _hasher().verify((stored or _of_nobody()).removeprefix(_PREFIX), password)
    except (InvalidHashError, VerificationError):
        return False
    return stored is not None
