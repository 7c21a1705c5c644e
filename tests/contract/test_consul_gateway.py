"""What the gateway sends to Consul, and what it makes of answers no healthy server gives."""

import http.server
import json
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from picloud_driver.consul.gateway import (
    ConsulAccess,
    ConsulGateway,
    Step,
    StepsFailed,
    Verb,
)
from picloud_driver.state.consul import ConsulState
from picloud_model.errors import RequestRefused, TooLarge, Unavailable

from tests.servers import running

TOKEN = "our-token-of-an-acl"


class Listener(http.server.ThreadingHTTPServer):
    """Records requests, and gives a fixed answer."""

    daemon_threads = True

    def __init__(self, place: tuple[str, int] | str = ("127.0.0.1", 0)) -> None:
        self.address_family = socket.AF_UNIX if isinstance(place, str) else socket.AF_INET
        super().__init__(place, Answering)  # type: ignore[arg-type] # a path is one, too
        self.requests: list[tuple[str, str, str | None]] = []
        self.connections = 0
        self.status = 200
        self.body = b"{}"
        self.headers: dict[str, str] = {}

    @property
    def address(self) -> str:
        """Where it listens."""
        place = self.server_address
        return f"unix://{place}" if isinstance(place, str) else f"127.0.0.1:{place[1]}"

    def server_bind(self) -> None:
        """Bind without looking up a name, which a path does not have."""
        socketserver.TCPServer.server_bind(self)

    def get_request(self) -> Any:
        """Count connections."""
        self.connections += 1
        return super().get_request()


class Answering(http.server.BaseHTTPRequestHandler):
    """One connection to the listener."""

    protocol_version = "HTTP/1.1"
    server: Listener

    def answer(self) -> None:
        """Take a request down and answer it."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        token = self.headers.get("X-Consul-Token")
        self.server.requests.append((self.command, self.path.partition("?")[0], token))
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.send_header("X-Consul-Index", "5")
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self.server.body)

    do_GET = do_PUT = do_DELETE = answer  # noqa: N815 - the names are http.server's

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture(params=["port", "socket"])
def listener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Listener]:
    """A server with a fixed answer, at a port or a Unix socket."""
    place = ("127.0.0.1", 0) if request.param == "port" else str(tmp_path / "s")
    with Listener(place) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def gateway(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> Iterator[ConsulGateway]:
    """A gateway with a token, in an environment that says otherwise."""
    monkeypatch.setenv("CONSUL_HTTP_TOKEN", "of-somebody-else")
    monkeypatch.setenv("CONSUL_HTTP_ADDR", "127.0.0.1:1")
    monkeypatch.setenv("CONSUL_HTTP_SSL", "true")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    opened = ConsulGateway(ConsulAccess(listener.address, TOKEN), connections=2)
    yield opened
    opened.close()


def every_call(gateway: ConsulGateway) -> dict[str, Callable[[], object]]:
    """Each kind of request of a gateway."""
    return {
        "transact": lambda: gateway.transact([Step(Verb.SET, "key", b"value")]),
        "keys": lambda: gateway.keys("key"),
        "wait": lambda: gateway.wait("key", 0, 0.0),
        "renew": lambda: gateway.renew("session"),
        "end": lambda: gateway.end("session"),
    }


CALLS = ["transact", "keys", "wait", "renew", "end"]


@pytest.mark.parametrize("call", CALLS)
def test_every_request_carries_our_token(
    gateway: ConsulGateway, listener: Listener, call: str
) -> None:
    """In a header, never in the address; what the environment says counts for nothing."""
    listener.body = b"[]" if call in ("keys", "wait") else b"{}"

    every_call(gateway)[call]()

    ((_, path, token),) = listener.requests
    assert token == TOKEN
    assert TOKEN not in path


def test_connections_are_kept(gateway: ConsulGateway, listener: Listener) -> None:
    """Requests one after the other share one."""
    for _ in range(5):
        gateway.transact([Step(Verb.SET, "key", b"value")])

    assert len(listener.requests) == 5
    assert listener.connections == 1


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("status", [400, 401, 403, 429, 500, 503])
def test_answers_that_are_no_answer(
    gateway: ConsulGateway, listener: Listener, call: str, status: int
) -> None:
    """Whatever it is, it is `Unavailable` with Consul's own words, and without our token."""
    listener.status, listener.body = status, b"rpc error: No cluster leader"

    with pytest.raises(Unavailable, match="No cluster leader") as refused:
        every_call(gateway)[call]()

    assert listener.address in refused.value.message
    assert TOKEN not in refused.value.message


def test_keys_we_may_not_read_are_not_missing_keys(
    gateway: ConsulGateway, listener: Listener
) -> None:
    """Where Consul leaves out what the token may not read, nothing is taken to be not there."""
    listener.body = b"[]"
    listener.headers = {"X-Consul-Results-Filtered-By-ACLs": "true"}
    with pytest.raises(Unavailable, match="refuses our token"):
        gateway.keys("key")
    with pytest.raises(Unavailable, match="refuses our token"):
        gateway.wait("key", 0, 0.0)

    listener.body, listener.headers = b'{"Results": [], "Errors": null}', {}
    with pytest.raises(Unavailable, match="refuses our token"):
        gateway.transact([Step(Verb.GET, "key")])


def test_an_ended_session_is_recognized(gateway: ConsulGateway, listener: Listener) -> None:
    """Only then is a lock lost."""
    listener.status = 404

    assert gateway.renew("session") is False


def test_a_transaction_that_is_too_large(gateway: ConsulGateway, listener: Listener) -> None:
    """A server with lower limits than usual says so before anything is done."""
    listener.status = 413

    with pytest.raises(TooLarge):
        gateway.transact([Step(Verb.SET, "key", b"value")])


@pytest.mark.parametrize(
    ("verb", "what", "error"),
    [
        (Verb.CAS, 'failed to set key "key", index is stale', StepsFailed),
        (Verb.CHECK_INDEX, "current modify index 5 != 3", StepsFailed),
        (Verb.CAS, "Permission denied: token lacks permission 'key:write'", Unavailable),
        (Verb.SET, "state store error", Unavailable),
    ],
)
def test_what_failed_in_a_transaction(
    gateway: ConsulGateway, listener: Listener, verb: Verb, what: str, error: type[Exception]
) -> None:
    """A conflict differs from a token that may not write and from faults of the store."""
    listener.status = 409
    listener.body = json.dumps({"Errors": [{"OpIndex": 1, "What": what}]}).encode()

    with pytest.raises(error):
        gateway.transact([Step(Verb.SET, "other", b""), Step(verb, "key", b"", 3)])


def test_a_token_is_shown_nowhere() -> None:
    """Neither by the access nor by what holds it."""
    access = ConsulAccess("127.0.0.1:1", TOKEN)

    assert TOKEN not in repr([access, ConsulGateway(access, 1), ConsulState(access)])


@pytest.mark.parametrize("prefix", ["", "picloud", "/picloud/", "a//", "../", "ä/", "x" * 64 + "/"])
def test_an_awkward_prefix_is_refused(prefix: str) -> None:
    """It has to be a path of plain names, as policies and addresses take it."""
    with pytest.raises(RequestRefused, match="prefix"):
        ConsulState(ConsulAccess(), prefix=prefix)


@pytest.fixture
def direct(consul_server: running.Consul) -> Iterator[ConsulGateway]:
    """A gateway to a real Consul, given as a URL."""
    opened = ConsulGateway(ConsulAccess(consul_server.address), 1)
    yield opened
    opened.close()


async def test_a_session_ended_by_an_operator_loses_the_lock(
    consul_server: running.Consul, direct: ConsulGateway
) -> None:
    """`held` asks Consul, so that it knows before any time is over; releasing does nothing then."""
    state = ConsulState(ConsulAccess(consul_server.address), prefix="operator/")
    lock = await state.lock("cleaning", 20.0)
    assert lock is not None
    (found,) = direct.transact([Step(Verb.GET, "operator/lock/cleaning")])

    direct.end(found.session)

    assert not await lock.held()
    await lock.release()
    assert await state.lock("cleaning", 20.0) is not None
    await state.close()


async def test_a_released_lock_leaves_no_key(
    consul_server: running.Consul, direct: ConsulGateway
) -> None:
    """Names of locks do not pile up in Consul."""
    state = ConsulState(ConsulAccess(consul_server.address), prefix="tidy/")
    lock = await state.lock("cleaning", 20.0)
    assert lock is not None
    assert direct.keys("tidy/") == ["tidy/lock/cleaning"]

    await lock.release()

    assert direct.keys("tidy/") == []
    await state.close()


def test_tls_to_a_server_without_it_is_explained() -> None:
    """The message says what to change."""
    with Listener() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        gateway = ConsulGateway(ConsulAccess(f"https://{server.address}"), connections=1)

        with pytest.raises(Unavailable, match="does not speak TLS, use http://"):
            gateway.keys("key")

        server.shutdown()
        thread.join()


def test_a_socket_without_a_server_is_explained(tmp_path: Path) -> None:
    """As a port without one is: a server that ends removes its socket."""
    gateway = ConsulGateway(ConsulAccess(f"unix://{tmp_path}/gone"), connections=1)

    with pytest.raises(Unavailable, match="connection refused, is it running"):
        gateway.keys("key")
