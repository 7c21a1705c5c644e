"""Where NATS is and how to sign in there."""

from __future__ import annotations

import msgspec


class NatsAccess(msgspec.Struct, frozen=True):
    """Address and credentials of NATS; the token is in no `repr`.

    With a `user`, the token is its password.

    The address of a cluster has a comma between the URLs of its servers, or one URL whose host has
    the address of each. The files are PEM, except for `creds_file`, which NATS's own tools write.
    `replicas` is the number of servers that store each message.
    """

    address: str
    token: str = ""
    user: str = ""
    creds_file: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    replicas: int = 1

    def __repr__(self) -> str:
        return f"NatsAccess({self.address!r})"
