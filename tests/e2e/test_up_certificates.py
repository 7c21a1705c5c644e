"""Certificates of `picloud up --stack hashicorp`: renewed, and adopted by earlier stacks."""

from __future__ import annotations

import datetime as dt
import json
import socket
import ssl
from typing import TYPE_CHECKING

import pytest
from picloud_driver.authority import Authority
from picloud_driver.stack.servers.consul import Consul
from picloud_driver.stack.servers.nomad import Nomad
from picloud_driver.stack.servers.vault import Vault

from tests.e2e import processes
from tests.e2e.earlier_servers import EarlierServers
from tests.e2e.user_home import CALL, SERVERS, UserHome
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from picloud_driver.stack.servers.stack_server import StackServer

SECURED = {server.name: server for server in (Consul, Vault, Nomad)}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[UserHome]:
    """A home, in which no server runs yet."""
    empty = UserHome(tmp_path)
    yield empty
    empty.clear()


def test_up_restarts_servers_without_certificates(home: UserHome) -> None:
    """After an upgrade the servers of the earlier version get certificates, on the same ports, and
    have what they stored.
    """
    EarlierServers(home.data, home.environment).start()
    before = home.pids()
    earlier = {name: record(home, name)["ports"] for name in SECURED}

    printed = home.up()

    assert "Restarting everything, as consul, vault, nomad need new certificates" in printed
    assert not {*before.values()} & {*home.pids().values()}
    assert {name: record(home, name)["ports"] for name in SECURED} == earlier
    assert home.tokens()["VAULT_ADDR"].startswith("https://")
    assert home.python(CALL) == "1024"
    assert home.up().count("ran already") == len(SERVERS)


def test_down_stops_servers_without_certificates(home: UserHome) -> None:
    """After an upgrade `picloud down` ends what the earlier version has started."""
    EarlierServers(home.data, home.environment).start()

    home.down()

    processes.assert_none(home.data)


def test_up_renews_certificates_that_expire_soon(home: UserHome) -> None:
    """Servers that run read the new ones, without a restart, and jobs go on."""
    home.up()
    before = home.pids()
    directory = home.data / "stack" / "tls"
    past = dt.datetime.now(dt.UTC) - dt.timedelta(days=700)
    for name, server in SECURED.items():
        (directory / f"{name}.pem").unlink()
        assert Authority(directory, lambda: past).renew(name, hosts(server))
    old = {name: served(home, name) for name in SECURED}

    home.up()

    for name in SECURED:
        stored = ssl.PEM_cert_to_DER_cert(first(directory / f"{name}.pem"))
        assert stored != old[name]
        until(lambda: served(home, name) == stored, f"{name} shows its new certificate")  # noqa: B023
    assert home.pids() == before
    assert home.python(CALL) == "1024"


def test_a_path_too_long_for_a_socket_works(tmp_path: Path) -> None:
    """Consul is then reached at its port."""
    home = UserHome(tmp_path / ("long" * 25))
    home.root.mkdir()
    try:
        home.up()

        assert home.tokens()["CONSUL_HTTP_ADDR"].startswith("https://127.0.0.1:")
        assert home.python(CALL) == "1024"
        home.down()
        processes.assert_none(home.data)
    finally:
        home.clear()


def record(home: UserHome, name: str) -> dict[str, dict[str, int]]:
    """Return the record of a server."""
    return dict(json.loads((home.data / "stack" / f"{name}.json").read_text()))


def hosts(server: type[StackServer[object]]) -> list[str]:
    """Return the names that a server's certificate is made for."""
    return [*(server.roles or ()), "localhost", "127.0.0.1"]


def first(file: Path) -> str:
    """Return the first block of a PEM file."""
    end = "-----END CERTIFICATE-----\n"
    return file.read_text().partition(end)[0] + end


def served(home: UserHome, name: str) -> bytes:
    """Return the certificate that a server shows."""
    directory = home.data / "stack" / "tls"
    context = ssl.create_default_context(cafile=str(directory / "ca.pem"))
    context.load_cert_chain(directory / "client.pem")
    place = ("127.0.0.1", record(home, name)["ports"]["http"])
    with (
        socket.create_connection(place) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
    ):
        return secured.getpeercert(binary_form=True) or b""
