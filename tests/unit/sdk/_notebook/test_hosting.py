"""Where the jobs of notebooks and desktops listen."""

from __future__ import annotations

import socket

import pytest
from cloud._notebook import hosting
from cloud.errors import CloudException


def test_the_first_free_ports_are_used() -> None:
    """Other jobs of the machine may listen on some of them; if too many do, that is said."""
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as two,
    ):
        taken = [one.getsockname()[1], two.getsockname()[1]]
        with socket.create_server(("127.0.0.1", 0)) as three:
            free = three.getsockname()[1]

        assert hosting.free_ports([taken[0], free], 1) == [free]
        with pytest.raises(CloudException, match="are in use: start it again"):
            hosting.free_ports([*taken, free], 2)
