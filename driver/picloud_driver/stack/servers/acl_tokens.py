"""The secrets of a Consul or Nomad with ACLs: made once, kept in a data directory."""

from __future__ import annotations

import base64
import os
import uuid
from typing import TYPE_CHECKING

import msgspec

from picloud_driver.stack import records
from picloud_driver.stack.faults import StackFault

if TYPE_CHECKING:
    from pathlib import Path


class AclTokens(msgspec.Struct, frozen=True):
    """The management token, and the key that a server needs to join the cluster by gossip."""

    token: str
    gossip: str


def acl_tokens(file: Path, data: Path, name: str) -> AclTokens:
    """Return the secrets of a server, which are made if it is new.

    Args:
        file: Where they are kept.
        data: The server's own data; if it exists, the server is not new.
        name: The server, as in "Consul".

    Raises:
        StackFault: When the secrets of an older server are lost or damaged.
    """
    advice = f"remove stack/{name.lower()} next to it to start with nothing"
    tokens = records.read(file, AclTokens, advice)
    if tokens is None:
        if data.exists():
            raise StackFault(f"{file}, the keys of {name}, is gone: {advice}.")
        tokens = AclTokens(str(uuid.uuid4()), base64.b64encode(os.urandom(32)).decode())
        records.write(file, tokens)
    return tokens
