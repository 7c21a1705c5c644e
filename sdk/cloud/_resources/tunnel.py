"""Tunnels: streams to the ports of jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from picloud_http.stream import StreamRefusedError, open_stream
from picloud_model.wire.tunnel import TunnelOpened, TunnelRequest

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
        host = urlsplit(self._transport.address.url).hostname or ""
        try:
            return open_stream(host, opened.port, opened.ticket)
        except StreamRefusedError as error:
            raise CloudException(str(error), jid) from None
        except OSError as error:
            raise CloudConnectionError(
                f"The gateway at {host}:{opened.port} cannot be reached: {error}."
            ) from error
