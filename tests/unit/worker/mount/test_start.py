"""Starting the process of a mount."""

from __future__ import annotations

import socket

from picloud_worker.mount.start import library, obstacle, start


def test_nothing_is_missing_here() -> None:
    """`make images` installs what these tests need."""
    assert obstacle() == ""
    assert library().startswith("libfuse")


def test_a_process_without_a_supervisor_ends() -> None:
    """It inherits the socket, and nothing has sent a request through it."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = start(theirs.fileno(), (), (theirs.fileno(),))
    ours.close()

    assert process.wait(20.0) == 1
