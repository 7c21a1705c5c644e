"""Connections for `ssh`: a server that does not start is an error of this program."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import psutil
import pytest
from cloud._resources.ssh import connect
from cloud.errors import CloudException
from picloud_model.wire.tunnel import CertificateIssued

if TYPE_CHECKING:
    from collections.abc import Iterator


class BrokenTunnels:
    """Streams to a server that sends something else than a banner, and ends."""

    def __init__(self, sent: bytes) -> None:
        self._sent = sent

    def connect_shell(self, _target: object) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            theirs.sendall(self._sent)
        return ours

    def certify(self, _target: object, public_key: str) -> CertificateIssued:
        return CertificateIssued(certificate=public_key, host_key=public_key, valid_s=300)


@pytest.fixture(autouse=True)
def no_process_is_left() -> Iterator[None]:
    """Neither `ssh` nor what it has started."""
    before = psutil.Process().children(recursive=True)
    yield
    left = [each for each in psutil.Process().children(recursive=True) if each not in before]
    assert not psutil.wait_procs(left, 10)[1]


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (b"Jobs in this slot have no shell server.\n", "Jobs in this slot have no shell server."),
        (b"", "Job 7 ended before the connection was open."),
    ],
)
def test_what_the_other_end_says_is_the_error(
    sent: bytes, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """`ssh`, which has been started meanwhile, ends with it, and prints nothing."""
    with pytest.raises(CloudException, match=message):
        connect(BrokenTunnels(sent), 7, (), ["true"])

    assert capfd.readouterr() == ("", "")
