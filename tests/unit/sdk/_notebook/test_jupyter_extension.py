"""The second password of a notebook: what a change closes."""

from __future__ import annotations

from types import SimpleNamespace

import msgspec
import pytest
from cloud._notebook import jupyter_extension


class Connection:
    """An open WebSocket."""

    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        """Close it."""
        self.closed = True


def test_terminals_are_closed() -> None:
    """The clients of each terminal, also where there is none or no terminals at all."""
    clients = [Connection(), Connection()]
    terminals = {"1": SimpleNamespace(clients=clients), "2": SimpleNamespace(clients=[])}

    jupyter_extension._close_connections({})
    jupyter_extension._close_connections({"terminal_manager": SimpleNamespace(terminals=terminals)})

    assert [each.closed for each in clients] == [True, True]


@pytest.mark.parametrize("body", [b"", b"{}", b'{"password": 7}', b'{"password": "a", "x": 1}'])
def test_a_body_has_a_password_or_null(body: bytes) -> None:
    """A request without one revokes nothing by mistake."""
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(body, type=jupyter_extension.SecondPassword)
