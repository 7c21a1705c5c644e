"""The secret port: keys of the server, secrets of users, and the authority that signs SSH keys."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Callable


class SecretPort(ABC):
    """What a secret store promises. Each sentence here is a contract test.

    Names are `/`-separated parts of letters, digits, `-` and `_`; another name is refused with
    `RequestRefused`. Values are bytes up to 64 KiB. No value appears in a message, a log line or
    the `repr` of the adapter. Every method raises `Unavailable` when the store cannot answer.
    """

    adapter: ClassVar[str]
    """Name of the adapter, for health and messages."""

    @abstractmethod
    async def get(self, name: str) -> bytes | None:
        """Return a secret, or None if there is none of that name."""

    @abstractmethod
    async def put(self, name: str, value: bytes) -> None:
        """Write a secret, over an earlier value if any."""

    @abstractmethod
    async def get_or_create(self, name: str, make: Callable[[], bytes]) -> bytes:
        """Return a secret, which is made and stored first if it does not exist.

        Two concurrent callers, in any processes, get the same value.
        """

    @abstractmethod
    async def delete(self, name: str) -> None:
        """Remove a secret; a missing one is not an error."""

    @abstractmethod
    async def ssh_authority(self) -> str:
        """Return the public key of the authority that signs SSH certificates, as OpenSSH writes it.

        Every process gets the same one; it is made at the first use.

        Raises:
            Unavailable: Also when the store has no such authority and may not make one.
        """

    @abstractmethod
    async def sign_ssh(self, public_key: str, principal: str, valid_s: int) -> str:
        """Return an SSH certificate for a key of a user, signed by the authority.

        It names the principal and no other, is valid for at most `valid_s` seconds from now, and
        permits terminals and port forwarding; nothing else, such as agent forwarding.

        Args:
            public_key: A key of type Ed25519, as OpenSSH writes it, without a comment.
            principal: Whom the certificate names: letters, digits and `-`.
            valid_s: For how many seconds, at most 600.

        Raises:
            Unavailable: Also when the store has no such authority.
        """

    @abstractmethod
    async def ping(self) -> None:
        """Return if secrets can be read, else raise `Unavailable`."""

    @abstractmethod
    async def close(self) -> None:
        """Close all connections."""
