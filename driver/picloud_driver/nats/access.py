"""Where a NATS server is and how to sign in there."""

from __future__ import annotations

import msgspec


class NatsAccess(msgspec.Struct, frozen=True):
    """Address and credentials of a NATS server; the token is in no `repr`.

    The files are PEM, except for `creds_file`, which NATS's own tools write.
    """

    address: str
    token: str = ""
    creds_file: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""

    def __repr__(self) -> str:
        return f"NatsAccess({self.address!r})"
