"""Requests for volumes, and the answers."""

from __future__ import annotations

import errno
import os
import socket

import pytest
from picloud_model.wire import VolumesMounted
from picloud_worker.volumes.request import VolumesRequest, answer, encoded

REQUEST = VolumesRequest(uid=1, mount={"/data": "/work/data"})


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (None, VolumesMounted(ready=True)),
        (
            OSError(errno.EBUSY, os.strerror(errno.EBUSY)),
            VolumesMounted(reason="[Errno 16] Device or resource busy"),
        ),
    ],
)
def test_a_request_is_handled_and_answered(error: OSError | None, expected: VolumesMounted) -> None:
    """An error is the reason why nothing is mounted."""
    handled = []

    def handle(request: VolumesRequest) -> None:
        handled.append(request)
        if error is not None:
            raise error

    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.send(encoded(REQUEST))
        assert answer(theirs, handle) == encoded(expected)
    assert handled == [REQUEST]


@pytest.mark.parametrize("data", [b"", b"x", b"{}", b'{"uid":1,"x":' + b"[" * 9000])
def test_anything_else_ends_the_connection(data: bytes) -> None:
    """So does the end of the supervisor."""
    ours, theirs = socket.socketpair()
    with theirs:
        with ours:
            ours.send(data)
        with pytest.raises(ConnectionResetError):
            answer(theirs, lambda _: None)
