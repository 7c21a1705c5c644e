"""Tunnels: streams to the ports of jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from picloud_http.stream import StreamRefusedError, open_stream
from picloud_model.wire.tunnel import (
    CertificateIssued,
    CertificateRequest,
    SshTunnelRequest,
    TunnelOpened,
    TunnelRequest,
)

from cloud.errors import CloudConnectionError, CloudException

if TYPE_CHECKING:
    import socket

    from cloud._http.transport import Transport


class TunnelClient:
    """Opens streams to the jobs of an account."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def connect(self, jid: int, port: int) -> socket.socket:
        """Return a socket that is connected to a port of a job.

        Raises:
            CloudException: When the job does not run, or does not listen on the port.
            CloudConnectionError: When the gateway cannot be reached.
        """
        request = TunnelRequest(jid=jid, port=port)
        opened = self._transport.post("/v1/tunnels", request, TunnelOpened)
        return opened_stream(self._transport, opened, jid)

    def connect_shell(self, jid: int) -> socket.socket:
        """Return a socket at whose other end an SSH server runs in a job; raises as `connect`."""
        request = SshTunnelRequest(jid=jid)
        opened = self._transport.post("/v1/tunnels/ssh", request, TunnelOpened)
        return opened_stream(self._transport, opened, jid)

    def certify(self, jid: int, public_key: str) -> CertificateIssued:
        """Return an SSH certificate of some minutes for a running job.

        Args:
            jid: The job.
            public_key: A key of type Ed25519, as OpenSSH writes it, without a comment.

        Raises:
            CloudException: When the job does not run.
        """
        request = CertificateRequest(jid=jid, public_key=public_key)
        return self._transport.post("/v1/tunnels/certificate", request, CertificateIssued)


def opened_stream(
    transport: Transport, opened: TunnelOpened, jid: int | None = None
) -> socket.socket:
    """Return a socket at the client's end of a stream.

    Raises:
        CloudException: When the other end does not come; it names the job, if there is one.
        CloudConnectionError: When the gateway cannot be reached.
    """
    host = opened.host or urlsplit(transport.address.url).hostname or ""
    try:
        return open_stream(host, opened.port, opened.ticket)
    except StreamRefusedError as error:
        raise CloudException(str(error), jid) from None
    except OSError as error:
        raise CloudConnectionError(
            f"The gateway at {host}:{opened.port} cannot be reached: {error}."
        ) from error
