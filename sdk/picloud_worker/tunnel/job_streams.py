"""The streams to jobs, each of which ends with its job.

A stream to a port is carried by a thread, one to a shell by a process of its own.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlsplit

from picloud_http.stream import OpenStreams, open_stream
from picloud_model.wire import LiveAnswer, pack_info

from picloud_worker.tunnel.shell_order import ShellOrder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from picloud_model.wire import AttemptRef, Info, LiveQuery, SshOrder, TunnelOrder

    from picloud_worker.tunnel.shell_order import ShellPlace

_CONNECT_S: Final = 1.0
END_S: Final = 1.0
"""How long what a job sent last may take to its clients after the job has ended."""
MOST_STREAMS: Final = 256
"""Streams of one slot at the same time."""


class ShellStarter(Protocol):
    """Starts and ends the shell servers of children."""

    def start_shell(self, child_index: int, stream: int, order: int) -> None:
        """Start a shell server that has these descriptors."""

    def end_shells(self, child_index: int) -> None:
        """End the shell servers of a child."""


class ShellHost(Protocol):
    """A job that runs here."""

    def shell_place(self) -> ShellPlace:
        """Return where its shells run."""


class JobStreams:
    """Opens streams to jobs of this slot.

    Args:
        url: The URL of the server; a gateway listens at the same host, or at one that is named.
        starter: Starts shell servers.
        find: Returns a job that runs here.
    """

    def __init__(
        self, url: str, starter: ShellStarter, find: Callable[[AttemptRef], ShellHost | None]
    ) -> None:
        self._host = urlsplit(url).hostname or ""
        self._starter = starter
        self._find = find
        self._streams = OpenStreams["AttemptRef"]()
        self._ending: set[AttemptRef] = set()
        self._shells: dict[AttemptRef, int] = {}
        """The child of each job that has shell servers, or had some."""
        self._lock = threading.Lock()

    def answer(
        self, queries: Sequence[LiveQuery], live: Callable[[LiveQuery], Info | None]
    ) -> list[LiveAnswer]:
        """Answer queries that came together, and open the streams that they ask for.

        Many clients may connect at once: each job is examined once for all of them.

        Args:
            queries: The queries.
            live: Returns what can be seen of a job that runs here; None if it does not.
        """
        seen: dict[AttemptRef, tuple[Info | None, bytes]] = {}
        answers = []
        for query in queries:
            found = None if query.since else seen.get(query.job)
            if found is None:
                info = live(query)
                found = (info, b"" if info is None else pack_info(info))
                if not query.since:
                    seen[query.job] = found
            self.open(query, found[0])
            answers.append(LiveAnswer(query.number, found[1]))
        return answers

    def open(self, query: LiveQuery, info: Info | None) -> None:
        """Open the stream that a query asks for, if the processes of the job listen on its port."""
        order = query.tunnel
        if order is None or info is None:
            return
        if order.ssh is not None:
            self._open_shell(query.job, order, order.ssh)
            return
        if info.ports is None:
            return
        if order.port in info.ports["tcp"] and len(self._streams) < 2 * MOST_STREAMS:
            arguments = (query.job, order)
            threading.Thread(target=self._carry, args=arguments, name="tunnel", daemon=True).start()

    def end_unless(self, runs: Callable[[AttemptRef], object]) -> None:
        """End the streams of jobs that no longer run, for which `runs` returns nothing.

        A job that has answered a request may end at once: its last bytes still arrive.
        """
        for job in self._streams.owners() if self._streams else ():
            if job not in self._ending and not runs(job):
                self._ending.add(job)
                timer = threading.Timer(END_S, self._end, (job,))
                timer.daemon = True
                timer.start()
        for job in [job for job in self._shells if not runs(job)] if self._shells else ():
            with self._lock:
                self._starter.end_shells(self._shells.pop(job))

    def _end(self, job: AttemptRef) -> None:
        self._streams.end({job})
        self._ending.discard(job)

    def _open_shell(self, job: AttemptRef, order: TunnelOrder, ssh: SshOrder) -> None:
        host = self._find(job)
        if host is not None:
            place = host.shell_place()
            self._shells[job] = place.child_index
            arguments = (job, order, ShellOrder(ssh, place.variables))
            threading.Thread(
                target=self._start_shell, args=arguments, name="shell", daemon=True
            ).start()

    def _start_shell(self, job: AttemptRef, order: TunnelOrder, shell: ShellOrder) -> None:
        try:
            remote = self._dial(order)
        except OSError:
            return
        descriptor = shell.written()
        # With the lock, so that it is not started after those of its job were ended.
        with remote, self._lock, contextlib.suppress(Exception):  # the slot may be ending
            if job in self._shells:
                self._starter.start_shell(self._shells[job], remote.fileno(), descriptor)
        os.close(descriptor)

    def _dial(self, order: TunnelOrder) -> socket.socket:
        host = order.gateway_host or self._host
        return open_stream(host, order.gateway_port, order.ticket)

    def _carry(self, job: AttemptRef, order: TunnelOrder) -> None:
        try:
            local = _connect(order.port)
        except OSError:
            return
        try:
            remote = self._dial(order)
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
