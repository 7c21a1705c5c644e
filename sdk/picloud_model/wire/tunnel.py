"""Tunnels: TCP streams from a client to a port of a job, through a gateway.

A client and the slot of the job each connect to the gateway and send a ticket, and a newline. When
the tickets of both ends of a stream are there, the gateway sends each end `ACCEPTED`; from then on
it carries bytes in both directions. Otherwise it sends a line that says what is wrong.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta

from picloud_model.wire.body import Answer, Jid, Request
from picloud_model.wire.limits import LARGEST_PORT

ACCEPTED: Final = b"ok\n"
"""What a gateway sends when both ends of a stream are connected."""
MOST_LINE: Final = 200
"""The longest line that either end or a gateway sends, in bytes."""
PAIRING_S: Final = 10.0
"""How long a gateway waits for the other end of a stream."""
TcpPort = Annotated[int, Meta(ge=1, le=LARGEST_PORT)]
PortAccess = Literal["private", "public"]
SSH_KEY_PATTERN: Final = r"^ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI[A-Za-z0-9+/]{43}$(?!\n)"
PublicKey = Annotated[str, Meta(pattern=SSH_KEY_PATTERN, max_length=80)]
"""A public key of type Ed25519, as OpenSSH writes it."""
CERTIFICATE_S: Final = 300
"""How long an SSH certificate is valid."""
SSH_PORT: Final = 22
"""The port that orders to open a shell name; no job listens on it for them."""


class TunnelRequest(Request, frozen=True):
    """Open a stream to a TCP port on which a job listens: `POST /v1/tunnels`."""

    jid: Jid
    port: TcpPort


class TunnelOpened(Answer, frozen=True):
    """The port of the gateway, and a ticket that is valid once, for 30 s.

    The gateway is at the host of the server's URL, unless `host` names another one.
    """

    port: TcpPort
    ticket: str
    host: str = ""

    def __repr__(self) -> str:
        return f"TunnelOpened(port={self.port!r})"


class CertificateRequest(Request, frozen=True):
    """Ask for an SSH certificate for a running job: `POST /v1/tunnels/certificate`.

    `public_key` is a key of type Ed25519, as OpenSSH writes it, without a comment.
    """

    jid: Jid
    public_key: PublicKey


class CertificateIssued(Answer, frozen=True):
    """A certificate for the key of the request, and the key by which the job is recognised.

    Both are lines as OpenSSH writes them. The certificate is valid for `valid_s` seconds; a
    connection that was opened meanwhile stays open.
    """

    certificate: str
    host_key: str
    valid_s: int


class SshTunnelRequest(Request, frozen=True):
    """Open a stream to a shell server in the slot of a job: `POST /v1/tunnels/ssh`."""

    jid: Jid
