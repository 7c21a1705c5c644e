"""The address of a job socket."""

from __future__ import annotations

import socket
import sys

import pytest
from picloud_model.job_socket import address


def test_addresses_of_slots_differ() -> None:
    """Each slot has a socket of its own."""
    assert address("one") != address("two")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has abstract sockets")
def test_a_process_can_connect_to_an_address() -> None:
    """The socket leaves no file behind."""
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.bind(address("test-of-the-model"))
        listener.listen()
        client.connect(address("test-of-the-model"))

        assert address("test-of-the-model").startswith("\0")
