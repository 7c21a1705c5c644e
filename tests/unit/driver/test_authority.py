"""A certificate authority in a directory."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import threading
from typing import TYPE_CHECKING

import pytest
from picloud_driver.authority import Authority

if TYPE_CHECKING:
    from pathlib import Path

    from picloud_driver.authority import TlsFiles

SERVER = ["localhost", "127.0.0.1"]


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = dt.datetime.now(dt.UTC)

    def __call__(self) -> dt.datetime:
        return self.now

    def advance(self, days: int) -> None:
        self.now += dt.timedelta(days=days)


@pytest.fixture
def clock() -> Clock:
    """A clock that begins now."""
    return Clock()


@pytest.fixture
def authority(tmp_path: Path, clock: Clock) -> Authority:
    """An authority in an empty directory, with a server's certificate and a client's."""
    made = Authority(tmp_path / "tls", clock)
    assert made.renew("server", SERVER)
    assert made.renew("client")
    return made


def handshake(server: TlsFiles, client: TlsFiles, host: str = "127.0.0.1") -> str:
    """Return the subject that a server sees of a client that verifies it; raises if one refuses."""
    accepts = context(ssl.PROTOCOL_TLS_SERVER, server)
    accepts.verify_mode = ssl.CERT_REQUIRED
    near, far = socket.socketpair()
    outcome: list[object] = []

    def accept() -> None:
        try:
            with accepts.wrap_socket(far, server_side=True) as connection:
                outcome.append(connection.getpeercert())
        except OSError as error:
            outcome.append(error)

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        with context(ssl.PROTOCOL_TLS_CLIENT, client).wrap_socket(near, server_hostname=host):
            accepting.join()
    finally:
        near.close()
        accepting.join()
    (found,) = outcome
    if isinstance(found, OSError):
        raise found
    assert isinstance(found, dict)
    return dict(pair for part in found["subject"] for pair in part)["commonName"]


def context(protocol: int, files: TlsFiles) -> ssl.SSLContext:
    """Return settings that are as strict as Python's are from 3.13 on."""
    made = ssl.SSLContext(protocol)
    made.load_verify_locations(files.ca_file)
    made.load_cert_chain(files.cert_file, files.key_file)
    made.verify_flags |= ssl.VERIFY_X509_STRICT
    return made


def test_a_server_and_a_client_trust_each_other(authority: Authority) -> None:
    """Each verifies the other's certificate, at each of the server's names."""
    server, client = authority.files("server"), authority.files("client")

    assert [handshake(server, client, host) for host in SERVER] == ["client", "client"]


def test_another_authority_is_refused(authority: Authority, tmp_path: Path) -> None:
    """By the server and by the client."""
    other = Authority(tmp_path / "other")
    other.renew("server", SERVER)
    other.renew("client")

    for server, client in ((authority, other), (other, authority)):
        with pytest.raises(ssl.SSLError):
            handshake(server.files("server"), client.files("client"))


def test_a_client_is_no_server(authority: Authority) -> None:
    """A client's certificate does not serve to play a server."""
    with pytest.raises(ssl.SSLError, match=r"purpose|mismatch"):
        handshake(authority.files("client"), authority.files("client"))


def test_other_names_are_refused(authority: Authority) -> None:
    """A server's certificate is valid for its names only."""
    with pytest.raises(ssl.SSLError, match="mismatch"):
        handshake(authority.files("server"), authority.files("client"), "vault.example")


def test_files_are_private(authority: Authority, tmp_path: Path) -> None:
    """No other user can read them."""
    everything = [tmp_path / "tls", *(tmp_path / "tls").iterdir()]

    assert {path.name for path in everything[1:]} == {
        "ca.pem",
        "ca.key.pem",
        "server.pem",
        "client.pem",
    }
    assert {path.stat().st_mode & 0o077 for path in everything} == {0}


def test_a_certificate_is_renewed_before_it_expires(authority: Authority, clock: Clock) -> None:
    """Its authority stays the same meanwhile."""
    before = authority.fingerprint()

    clock.advance(days=365)
    assert not authority.renew("server", SERVER)
    clock.advance(days=365)
    assert authority.renew("server", SERVER)
    assert not authority.renew("server", SERVER)
    assert authority.fingerprint() == before


def test_an_authority_is_made_anew_before_it_expires(authority: Authority, clock: Clock) -> None:
    """All its certificates are, then."""
    before = authority.fingerprint()

    clock.advance(days=2500)

    assert authority.renew("server", SERVER)
    assert authority.renew("client")
    assert authority.fingerprint() != before


def test_other_names_make_another_certificate(authority: Authority) -> None:
    """A certificate is for the names that are wanted now."""
    assert authority.renew("server", [*SERVER, "server.global.nomad"])
    assert not authority.renew("server", [*SERVER, "server.global.nomad"])


@pytest.mark.parametrize("file", ["server.pem", "ca.key.pem", "ca.pem"])
def test_a_damaged_file_is_replaced(authority: Authority, tmp_path: Path, file: str) -> None:
    """Certificates hold nothing that could be lost."""
    (tmp_path / "tls" / file).write_text("-----BEGIN")

    authority.renew("server", SERVER)
    authority.renew("client")

    assert handshake(authority.files("server"), authority.files("client")) == "client"


def test_the_end_of_a_certificate_is_known(authority: Authority, clock: Clock) -> None:
    """It ends with its authority at the latest; what does not exist has no end."""
    end = authority.expiry("server")

    assert end is not None
    assert 729 <= (end - clock.now).days <= 730
    assert authority.expiry("other") is None
