"""Passwords: hashed with Argon2id and a pepper, outside of the event loop."""

from __future__ import annotations

import asyncio
import secrets as entropy
from typing import Final

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from picloud_model.errors import RequestRefused

MIN_CHARACTERS: Final = 10
MAX_CHARACTERS: Final = 1000
AT_ONCE: Final = 2
"""How many passwords one process hashes at the same time: each takes `MEMORY_KIB` of memory."""
MEMORY_KIB: Final = 19 * 1024
ROUNDS: Final = 2
"""With one lane, the parameters that OWASP names first for Argon2id."""


class Passwords:
    """Hashes passwords, and checks them.

    Args:
        pepper: What only the secret store has: without it, hashes cannot be compared with guesses.
            None for hashes that others made, who had none.
        least: The fewest characters.
    """

    def __init__(self, pepper: bytes | None, least: int = MIN_CHARACTERS) -> None:
        self._pepper = pepper
        self._least = least
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._decoy = ""
        """The hash of a random password, for names that do not exist."""

    async def hashed(self, password: str) -> str:
        """Return the hash of a password, in the text format of Argon2.

        Raises:
            RequestRefused: When it is too short or too long.
        """
        if not self._least <= len(password) <= MAX_CHARACTERS:
            message = f"A password has {self._least} to {MAX_CHARACTERS:,} characters."
            raise RequestRefused(message, field="password")
        async with self._turns:
            return await asyncio.to_thread(self._hash, password)

    async def is_right(self, password: str, stored: str) -> bool:
        """Whether a password is the one whose hash is stored; "" is that of none.

        It takes as long if there is none, so that the time does not reveal which names exist.
        """
        async with self._turns:
            if not self._decoy:
                self._decoy = await asyncio.to_thread(self._hash, entropy.token_urlsafe())
            right = await asyncio.to_thread(self._verify, password, stored or self._decoy)
        return right and bool(stored)

    def _hash(self, password: str) -> str:
        kdf = Argon2id(
            salt=entropy.token_bytes(16),
            length=32,
            iterations=ROUNDS,
            lanes=1,
            memory_cost=MEMORY_KIB,
            secret=self._pepper,
        )
        return kdf.derive_phc_encoded(_bytes(password))

    def _verify(self, password: str, stored: str) -> bool:
        try:
            Argon2id.verify_phc_encoded(_bytes(password), stored, self._pepper)
        except (InvalidKey, ValueError):  # it is another one, or no hash
            return False
        return True


def _bytes(password: str) -> bytes:
    return password[: MAX_CHARACTERS + 1].encode(errors="surrogatepass")
