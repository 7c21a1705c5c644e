"""Signing keys: the secrets that credentials are made and checked with."""

from __future__ import annotations

import secrets as entropy
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from picloud_driver.secret import SecretPort


class SigningKeys(msgspec.Struct, frozen=True, kw_only=True):
    """Those of credentials; read once, when the server starts."""

    pepper: bytes
    job: bytes
    slot: bytes
    ticket: bytes
    session: bytes
    host: bytes


async def signing_key(secrets: SecretPort, name: str) -> bytes:
    """Return a key of 32 bytes, which the first process that asks for it makes."""
    return await secrets.get_or_create(f"signing/{name}", lambda: entropy.token_bytes(32))


async def signing_keys(secrets: SecretPort) -> SigningKeys:
    """Return the keys of credentials."""
    names = {field: field for field in SigningKeys.__struct_fields__} | {"slot": "token"}
    return SigningKeys(**{field: await signing_key(secrets, name) for field, name in names.items()})
