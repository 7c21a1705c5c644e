"""The socket between a job and its supervisor: tokens, and what a job may send there."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any

import pytest
from cloud._http.job_socket import SupervisorClient
from picloud_model.job_socket import address
from picloud_model.token import JobToken

from tests.unit.worker.jobs import echo

if TYPE_CHECKING:
    from tests.unit.worker.fake_api import FakeApi
    from tests.unit.worker.worker import Worker


def request_token() -> tuple[str, str, int]:
    """Return the grant of the job."""
    grant = SupervisorClient(os.environ["PICLOUD_LINE"]).grant()
    return grant.url, grant.token, grant.jid


def test_each_job_gets_its_own_token(api: FakeApi, worker: Worker) -> None:
    """The token names the job that asks and its attempt, signed with the key of the slot."""
    batch = api.submit(request_token, [()] * 3)

    for index in range(3):
        url, text, jid = api.result(batch, index)
        read = JobToken.read(text)
        assert read is not None
        # On a slow machine the job was handed back first, and leased again.
        attempt = api.ended[batch, index].attempt
        assert read[0] == JobToken("a", 1, 1 + index, attempt)
        assert read[1] == read[0].mac(api.granted.job_key)
        assert (url, jid) == (f"http://127.0.0.1:{api.port}", 1 + index)


def send_raw(data: bytes) -> bytes:
    """Send bytes to the socket, and return its answer."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(address(os.environ["PICLOUD_LINE"]))
        connection.sendall(data)
        try:
            return connection.recv(10)
        except ConnectionError:
            return b""


INVALID = (
    b"\n",
    b"{}x\n",
    b"\xff" * 100_000,
    b'{"awaiting": 3}\n',
    b'{"progress": [1, "x"]}\n',
    b'{"progress": [1e999, 1]}\n',
    b'{"progress": [1%s, null]}\n' % (b"0" * 300),
)


@pytest.mark.parametrize("data", INVALID)
def test_invalid_requests_are_hung_up_on(api: FakeApi, worker: Worker, data: bytes) -> None:
    """No message of a job can stop its supervisor."""

    def send(data: bytes) -> Any:
        try:
            return send_raw(data)
        except OSError:
            return b""

    assert api.result(api.submit(send, [(data,)])) == b""
    assert api.result(api.submit(echo, [(1,)])) == 1


def test_idle_connections_block_no_other(api: FakeApi, worker: Worker) -> None:
    """A job that opens many connections and sends nothing blocks no other request."""

    def open_many() -> int:
        connections = []
        for _ in range(200):
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(address(os.environ["PICLOUD_LINE"]))
            except OSError:
                break
            connections.append(connection)
        return len(connections)

    assert api.result(api.submit(open_many)) > 0
    assert api.result(api.submit(request_token))[2] == 2
