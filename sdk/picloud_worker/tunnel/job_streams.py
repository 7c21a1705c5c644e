"""The streams to ports of jobs: each is carried by a thread, and ends with its job."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from picloud_http.stream import OpenStreams, open_stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from picloud_model.wire import AttemptRef, Info, LiveQuery, TunnelOrder

_CONNECT_S: Final = 1.0
MOST_STREAMS: Final = 256
"""Streams of one slot at the same time."""


class JobStreams:
    """Opens streams to jobs of this slot.

    Args:
        url: The URL of the server; a gateway listens at the same host.
    """

    def __init__(self, url: str) -> None:
        self._host = urlsplit(url).hostname or ""
        self._streams = OpenStreams["AttemptRef"]()

    def open(self, query: LiveQuery, info: Info | None) -> None:
        """Open the stream that a query asks for, if the processes of the job listen on its port."""
        order = query.tunnel
        if order is None or info is None or info.ports is None:
            return
        if order.port in info.ports["tcp"] and len(self._streams) < 2 * MOST_STREAMS:
            arguments = (query.job, order)
            threading.Thread(target=self._carry, args=arguments, name="tunnel", daemon=True).start()

    def end_unless(self, runs: Callable[[AttemptRef], bool]) -> None:
        """End the streams of jobs that no longer run."""
        if self._streams:
            self._streams.end({job for job in self._streams.owners() if not runs(job)})

    def _carry(self, job: AttemptRef, order: TunnelOrder) -> None:
        try:
            local = _connect(order.port)
        except OSError:
            return
        try:
            remote = open_stream(self._host, order.gateway_port, order.ticket)
        except OSError:
            local.close()
            return
        self._streams.carry(local, remote, job)


def _connect(port: int) -> socket.socket:
    """Return a connection to a port of this machine."""
    try:
        connected = socket.create_connection(("127.0.0.1", port), _CONNECT_S)
    except OSError:
        connected = socket.create_connection(("::1", port), _CONNECT_S)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connected.settimeout(None)
    return connected
