"""The second passwords of notebooks, stored as argon2 hashes."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_PREFIX: Final = "argon2:"
"""What the hashes of JupyterLab begin with, which earlier versions of the server stored."""
_GENERATION: Final = 12


class NotebookPasswords:
    """Hashes and checks passwords, one at a time: each takes memory and a processor for a while.

    Args:
        hash_of: Returns the salted hash of a password.
        is_hash_of: Returns whether a hash is that of a password.
    """

    def __init__(
        self, hash_of: Callable[[str], str], is_hash_of: Callable[[str, str], bool]
    ) -> None:
        self._hash_of = hash_of
        self._is_hash_of = is_hash_of
        self._of_nobody = ""
        self._turn = asyncio.Lock()

    async def hash(self, password: str) -> str:
        """Return the hash of a password, with a salt and its parameters."""
        async with self._turn:
            return await asyncio.to_thread(self._hash_of, password)

    async def is_right(self, stored: str | None, password: str) -> bool:
        """Return whether a password has a hash; it takes as long if there is no hash at all."""
        async with self._turn:
            return await asyncio.to_thread(self._verify, stored, password)

    def _verify(self, stored: str | None, password: str) -> bool:
        if not self._of_nobody:
            self._of_nobody = self._hash_of("")
        compared = (stored or self._of_nobody).removeprefix(_PREFIX)
        return self._is_hash_of(compared, password) and stored is not None


def generation(stored: str) -> str:
    """Return what tells a password from those before and after it.

    >>> generation("$argon2id$x")
    '35af7f470575'
    """
    return sha256(stored.encode()).hexdigest()[:_GENERATION]
