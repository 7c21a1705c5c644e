"""The request of a supervisor, and the answer to it."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest
from picloud_model.wire import BucketMounted
from picloud_worker.mount.request import MountRequest, answers, encoded, receive, send

if TYPE_CHECKING:
    from pathlib import Path

REQUEST = MountRequest(url="http://127.0.0.1:9", token="t", at="/bucket", uid=1, gid=2)


def test_a_request_arrives_with_a_directory(tmp_path: Path) -> None:
    """The descriptor leads to the directory of the sender."""
    ours, theirs = socket.socketpair()
    directory = os.open(tmp_path, os.O_RDONLY)
    with ours, theirs:
        send(ours, REQUEST, directory)
        request, copies = receive(theirs)

    assert request == REQUEST
    assert os.path.sameopenfile(copies, directory)
    os.close(copies)
    os.close(directory)


@pytest.mark.parametrize("data", [b"", b"{}", b"x"])
def test_anything_else_is_refused(data: bytes) -> None:
    """The process ends then."""
    ours, theirs = socket.socketpair()
    with theirs:
        with ours:
            ours.send(data)
        with pytest.raises(ConnectionResetError):
            receive(theirs)


def test_an_answer_is_a_line() -> None:
    """Part of a line is not an answer yet."""
    line = encoded(BucketMounted(path="/bucket", ready=True))

    assert list(answers(line)) == [BucketMounted(path="/bucket", ready=True)]
    assert list(answers(line[:-1])) == []
