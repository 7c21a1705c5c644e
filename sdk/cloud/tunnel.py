"""`cloud.tunnel`: TCP connections to ports on which your jobs listen.

They work wherever the job runs and from wherever you are: both ends connect to a gateway, which
carries the bytes. Only the account that owns a job can reach its ports this way.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Final

from picloud_http.stream import OpenStreams, abort

from cloud._arguments.option_values import port_number
from cloud._client.current import client
from cloud._config.border import of_users
from cloud._resources.tunnel import TunnelClient
from cloud.errors import CloudException

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

__all__ = ["Forward", "connect", "forward"]

LOCAL_HOST: Final = "127.0.0.1"


@of_users
def connect(jid: int, port: int) -> socket.socket:
    r"""Return a socket that is connected to a TCP port of a job.

    It works in scripts and within other jobs of the account. Close it when you are done.

    Args:
        jid: The jid of the job, which has to be running.
        port: The port that the job listens on, 1 to 65535; `cloud.wait_for.port` waits for it.

    Returns:
        A connected, blocking socket.

    Raises:
        CloudException: When the job does not run, or its processes do not listen on the port.

    >>> jid = cloud.shell.execute("exec python3 -m http.server 9017 --bind 127.0.0.1")
    >>> reached = cloud.wait_for.port(jid, 9017, timeout=60)
    >>> with cloud.connect(jid, 9017) as connection:
    ...     connection.sendall(b"HEAD / HTTP/1.0\r\n\r\n")
    ...     connection.recv(15)
    b'HTTP/1.0 200 OK'
    >>> cloud.kill(jid)
    """
    return TunnelClient(client().transport).connect(jid, port_number(port))


@of_users
def forward(jid: int, port: int, local_port: int = 0) -> Forward:
    """Forward a local port to a TCP port of a job, until the result is closed.

        with cloud.tunnel.forward(jid, 8000) as forwarded:
            urllib.request.urlopen(f"http://127.0.0.1:{forwarded.port}/")

    Args:
        jid: The jid of the job.
        port: The port that the job listens on, 1 to 65535.
        local_port: The port of this machine, on 127.0.0.1 only; 0 for a free one.

    Raises:
        CloudException: When the local port is in use.
    """
    return Forward(
        TunnelClient(client().transport), jid, port_number(port), port_number(local_port, least=0)
    )


class Forward:
    """A local port, each connection to which is one to a port of a job.

    Attributes:
        port: The local port, at 127.0.0.1.
    """

    def __init__(self, tunnels: TunnelClient, jid: int, port: int, local_port: int) -> None:
        self._tunnels = tunnels
        self._jid = jid
        self._port = port
        self._streams = OpenStreams[int]()
        try:
            self._listener = socket.create_server((LOCAL_HOST, local_port))
        except OSError as error:
            raise CloudException(
                f"Cannot listen on {LOCAL_HOST}:{local_port}: {error.strerror}; choose another "
                "local port."
            ) from error
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, name="forward", daemon=True).start()

    def __enter__(self) -> Self:
        """Return this forward."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Stop listening, and end the connections."""
        abort([self._listener])
        self._listener.close()
        self._streams.end({self._jid})

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(accepted,), daemon=True).start()

    def _carry(self, accepted: socket.socket) -> None:
        try:
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            remote = self._tunnels.connect(self._jid, self._port)
        except (CloudException, OSError):
            with contextlib.suppress(OSError):
                accepted.close()
            return
        self._streams.carry(accepted, remote, self._jid)


def __dir__() -> list[str]:
    """List what users call."""
    return __all__
