"""Checking an address before there is a key."""

from __future__ import annotations

import pytest
from cloud import CloudException
from cloud._config.configuration import Config
from cloud._http.exchange import HttpReply, HttpRequest
from cloud._http.health import check_server
from cloud._http.transport import Backoff, Transport
from picloud_model import wire

from tests.unit.sdk.fake_server import ADDRESS

UNHEALTHY = wire.encode(wire.Health(healthy=False, version="1", ports=[]))


class Fixed:
    """Returns the same reply to each request."""

    def __init__(self, reply: HttpReply) -> None:
        self._reply = reply

    def exchange(self, _sent: HttpRequest) -> HttpReply:
        """Return the reply."""
        return self._reply

    def close(self) -> None:
        """Nothing is open."""


def _transport(reply: HttpReply) -> Transport:
    return Transport(ADDRESS, Config(), Fixed(reply), Backoff(sleep=lambda _: None))


def test_an_unhealthy_server_is_a_server() -> None:
    """A key can be stored for it."""
    check_server(_transport(HttpReply(503, {}, UNHEALTHY)))


@pytest.mark.parametrize("reply", [HttpReply(404, {}, b"no"), HttpReply(200, {}, b"<html>")])
def test_another_server_is_refused(reply: HttpReply) -> None:
    """The message names the address."""
    with pytest.raises(CloudException, match=r"is not a PiCloud server; check the address"):
        check_server(_transport(reply))
