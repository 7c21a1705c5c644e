"""SSH certificates signed with a key of this process, in place of Vault."""

from __future__ import annotations

import secrets
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    SSHCertificateBuilder,
    SSHCertificateType,
    load_ssh_public_key,
)

SEED_BYTES: Final = 32
EARLIER_S: Final = 30
"""How much earlier certificates are valid, for machines whose clocks are behind; as in Vault."""
PERMITTED: Final = (b"permit-port-forwarding", b"permit-pty")
_SERIAL_BITS: Final = 63


def public_line(seed: bytes) -> str:
    """Return the public key that belongs to a seed, as OpenSSH writes it.

    >>> public_line(bytes(SEED_BYTES))[:20]
    'ssh-ed25519 AAAAC3Nz'
    """
    key = Ed25519PrivateKey.from_private_bytes(seed).public_key()
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def sign(seed: bytes, public_key: str, principal: str, window: tuple[int, int]) -> str:
    """Return a certificate for a user, as OpenSSH writes it.

    Args:
        seed: The 32 bytes of the authority's private key.
        public_key: The user's key, of type Ed25519, as OpenSSH writes it.
        principal: Whom it names.
        window: When it begins and ends to be valid, in seconds since the epoch.

    Raises:
        ValueError: When the public key is not one.
    """
    key = load_ssh_public_key(public_key.encode())
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("the key is not of type Ed25519")  # noqa: TRY004 - its text is wrong
    builder = (
        SSHCertificateBuilder()
        .public_key(key)
        .serial(secrets.randbits(_SERIAL_BITS))
        .type(SSHCertificateType.USER)
        .key_id(principal.encode())
        .valid_principals([principal.encode()])
        .valid_after(window[0])
        .valid_before(window[1])
    )
    for name in PERMITTED:
        builder = builder.add_extension(name, b"")
    return builder.sign(Ed25519PrivateKey.from_private_bytes(seed)).public_bytes().decode()
