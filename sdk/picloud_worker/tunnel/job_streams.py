"""The streams to ports of jobs: each is carried by a thread, and ends with its job."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from picloud_http.stream import abort, carry, open_stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from picloud_model.wire import AttemptRef, Info, LiveQuery, TunnelOrder

LOCAL_HOSTS: Final = ("127.0.0.1", "::1")
MOST_STREAMS: Final = 256
"""Streams of one slot at the same time."""


class JobStreams:
    """Opens streams to jobs of this slot.

    Args:
        url: The URL of the server; a gateway listens at the same host.
    """

    def __init__(self, url: str) -> None:
        self._host = urlsplit(url).hostname or ""
        self._open: dict[socket.socket, AttemptRef] = {}
        self._lock = threading.Lock()

    def open(self, query: LiveQuery, info: Info | None) -> None:
        """Open the stream that a query asks for, if the processes of the job listen on its port."""
        order = query.tunnel
        if order is None or info is None or info.ports is None:
            return
        if order.port in info.ports["tcp"] and len(self._open) < 2 * MOST_STREAMS:
            arguments = (query.job, order)
            threading.Thread(target=self._carry, args=arguments, name="tunnel", daemon=True).start()

    def end_unless(self, runs: Callable[[AttemptRef], bool]) -> None:
        """End the streams of jobs that no longer run."""
        if not self._open:
            return
        with self._lock:
            ended = {job for job in {*self._open.values()} if not runs(job)}
            abort([each for each, job in self._open.items() if job in ended])

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
        with self._lock:
            self._open |= {local: job, remote: job}
        try:
            carry(local, remote)
        finally:
            with self._lock:
                del self._open[local], self._open[remote]


def _connect(port: int) -> socket.socket:
    """Return a connection to a port of this machine."""
    for host in LOCAL_HOSTS[:-1]:
        try:
            connected = socket.create_connection((host, port), 1.0)
        except OSError:
            continue
        break
    else:
        connected = socket.create_connection((LOCAL_HOSTS[-1], port), 1.0)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connected.settimeout(None)
    return connected
