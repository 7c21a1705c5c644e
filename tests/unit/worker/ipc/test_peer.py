"""Peers of UNIX sockets."""

from __future__ import annotations

import os
import socket

from picloud_worker.ipc.peer import Peer, peer_of


def test_the_kernel_says_who_is_at_the_other_end() -> None:
    """Here it is this process, with its user."""
    one, other = socket.socketpair(socket.AF_UNIX)
    with one, other:
        assert peer_of(one) == Peer(os.getpid(), os.getuid())
