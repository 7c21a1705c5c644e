"""The second passwords of notebooks, stored as argon2 hashes."""

from __future__ import annotations

from hashlib import sha256
from typing import Final, Protocol

_PREFIX: Final = "argon2:"
"""What the hashes of JupyterLab begin with, which earlier versions of the server stored."""
_GENERATION: Final = 12


class HashedPasswords(Protocol):
    """Hashes passwords, and checks them."""

    async def hashed(self, password: str, /) -> str:
        """Return the hash of a password, with a salt and its parameters."""

    async def is_right(self, password: str, stored: str, /) -> bool:
        """Whether a password is the one whose hash is stored; "" is that of none."""


class NotebookPasswords:
    """Hashes and checks second passwords."""

    def __init__(self, passwords: HashedPasswords) -> None:
        self._passwords = passwords

    async def hash(self, password: str) -> str:
        """Return the hash of a password, with a salt and its parameters."""
        return await self._passwords.hashed(password)

    async def is_right(self, stored: str | None, password: str) -> bool:
        """Return whether a password has a hash; it takes as long if there is no hash at all."""
        return await self._passwords.is_right(password, (stored or "").removeprefix(_PREFIX))


def generation(stored: str) -> str:
    """Return what tells a password from those before and after it.

    >>> generation("$argon2id$x")
    '35af7f470575'
    """
    return sha256(stored.encode()).hexdigest()[:_GENERATION]
