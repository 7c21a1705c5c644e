"""The secret port: keys of the server, secrets of users, and the authority that signs SSH keys."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable


class SecretRole(msgspec.Struct, frozen=True):
    """What mints secrets: a role of an engine of the store, and the parameters for it.

    Args:
        path: The engine, and its kind of credentials: `database/creds`.
        name: The name of the role.
        parameters: The body of the request; without any, the role is read.
    """

    path: str
    name: str
    parameters: Mapping[str, str] = {}


class MintedSecret(msgspec.Struct, frozen=True):
    """A secret that was made for one job: its fields, and the lease by which it is revoked.

    It is valid for `valid_s` seconds, and longer if it is `renewable` and renewed before.
    """

    fields: dict[str, str]
    lease: str
    valid_s: float
    renewable: bool = False

    def __repr__(self) -> str:
        return f"MintedSecret({', '.join(self.fields)})"


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
    async def mint(self, role: SecretRole) -> MintedSecret:
        """Return a secret that is made now, and is valid until its lease is revoked or ends.

        Raises:
            RequestRefused: When the store mints nothing, has no such role, does not let the server
                use it, or refuses the parameters; also when what it mints has no lease.
        """

    @abstractmethod
    async def renew(self, lease: str) -> float:
        """Let a minted secret stay valid; return for how many seconds from now.

        Raises:
            RequestRefused: When the lease has ended, or cannot be renewed.
        """

    @abstractmethod
    async def revoke(self, lease: str) -> None:
        """End a minted secret; one that has ended is not an error."""

    @abstractmethod
    async def ping(self) -> None:
        """Return if secrets can be read, else raise `Unavailable`."""

    @abstractmethod
    async def close(self) -> None:
        """Close all connections."""
