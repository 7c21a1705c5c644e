"""Connections are handed off between processes: two servers of this process, on real sockets."""

from __future__ import annotations

import http.client
import socket
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from picloud_api.resources.body import ACCOUNT
from picloud_api.server.affinity import AccountAffinity
from picloud_api.server.handoff import HandoffServer

from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Iterator

BODY = bytes(300_000)


class Pair:
    """Two servers; clients connect to one of them only."""

    def __init__(self) -> None:
        self.affinity = AccountAffinity(2)
        self._listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        self.port: int = self._listeners[0].getsockname()[1]
        self._servers = [
            HandoffServer(self._config(number), self.affinity, number) for number in (0, 1)
        ]
        self._threads = [
            threading.Thread(target=server.run, args=([listener],))
            for server, listener in zip(self._servers, self._listeners, strict=True)
        ]

    def _config(self, number: int) -> uvicorn.Config:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            while (await receive())["more_body"]:
                pass
            if (account := dict(scope["headers"]).get(b"account")) is not None:
                scope[ACCOUNT] = account.decode()
            body = str(number).encode() + (BODY if scope["path"] == "/large" else b"")
            length = (b"content-length", str(len(body)).encode())
            await send({"type": "http.response.start", "status": 200, "headers": [length]})
            await send({"type": "http.response.body", "body": body})

        return uvicorn.Config(app, log_config=None, lifespan="off", loop="uvloop", ws="none")

    def start(self) -> None:
        """Serve, in threads."""
        for thread in self._threads:
            thread.start()
        until(lambda: all(server.started for server in self._servers), "both servers serve")

    def stop(self, number: int) -> None:
        """Stop one of them."""
        self._servers[number].should_exit = True
        self._threads[number].join(30)

    def close(self) -> None:
        """Stop both."""
        for number in (0, 1):
            self.stop(number)
        self.affinity.close()

    def account(self, home: int) -> str:
        """Return an account with an affinity to one of them."""
        return next(name for name in map(str, range(1000)) if self.affinity.owner_of(name) == home)


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Two running servers."""
    servers = Pair()
    servers.start()
    yield servers
    servers.close()


class Client(http.client.HTTPConnection):
    """A client with one connection, which it never opens again."""

    auto_open = 0

    def __init__(self, port: int) -> None:
        super().__init__("127.0.0.1", port, timeout=30)
        self.connect()

    def ask(self, account: str = "", path: str = "/", body: bytes = b"") -> int:
        """Return which server answers."""
        self.request("POST", path, body, {"account": account} if account else {})
        return int(self.getresponse().read()[:1])


def comes_home(client: Client, account: str, home: int) -> None:
    """Send requests until the right server answers: a client may be faster than the handoff."""
    until(lambda: client.ask(account) == home, "it is at home")


def test_a_connection_comes_home(pair: Pair) -> None:
    """The client sees one connection on which every request is answered, large or small."""
    for account, home in ((pair.account(0), 0), (pair.account(1), 1)):
        with closing(Client(pair.port)) as client:
            assert client.ask(account) == 0
            comes_home(client, account, home)
            assert client.ask(account, "/large", BODY) == home
            assert client.ask() == home


def test_a_large_answer_is_whole_before_its_connection_moves(pair: Pair) -> None:
    """An unfinished answer is written to its end; the connection moves after a later request."""
    account = pair.account(1)
    with closing(Client(pair.port)) as client:
        for _ in range(5):
            client.request("POST", "/large", BODY, {"account": account})
            assert len(client.getresponse().read()) == len(BODY) + 1
        comes_home(client, account, 1)


def test_requests_sent_at_once_are_all_answered(pair: Pair) -> None:
    """A client may send requests before it has the answers: none is lost by a handoff."""
    account = pair.account(1)
    request = f"GET / HTTP/1.1\r\nhost: x\r\naccount: {account}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", pair.port), timeout=30) as client:
        client.sendall(5 * request + request[:20])
        client.sendall(request[20:])
        answered = b""
        while answered.count(b"HTTP/1.1 200") < 6 or not answered.endswith((b"\n0", b"\n1")):
            answered += client.recv(65536)


def test_many_connections_move_at_once(pair: Pair) -> None:
    """If too many connections move at once, the others move after a later request."""
    account = pair.account(1)
    clients = [Client(pair.port) for _ in range(300)]
    for client in clients:
        client.request("POST", "/", b"", {"account": account})
    for client in clients:
        assert client.getresponse().read() == b"0"
    for client in clients:
        comes_home(client, account, 1)
        client.close()


def test_who_lost_its_home_has_another(pair: Pair) -> None:
    """The account of a process that ended goes to the other one, and its connections stay there."""
    account = pair.account(1)
    pair.stop(1)

    with closing(Client(pair.port)) as client:
        assert [client.ask(account) for _ in range(3)] == [0, 0, 0]
