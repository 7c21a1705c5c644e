"""Exhaustion: small requests that ask for much, and large ones that hold memory."""

from __future__ import annotations

import contextlib
import socket
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import msgspec
import pytest
from picloud_model import wire

if TYPE_CHECKING:
    from tests.attacks.sender import Sender
    from tests.e2e.stacks import Stack

READS: Final = "/v1/blobs/read"


def test_a_blob_named_again_and_again_is_not_sent_so_often(sender: Sender) -> None:
    """A small request makes no reply larger than the bound."""
    data = b"x" * 2_000_000
    digest = sha256(data).hexdigest()
    assert sender.send("PUT", f"/v1/blobs/{digest}", data).status == 200

    body = wire.encode(wire.ReadBlobsRequest(digests=[digest] * 60))
    reply = sender.raw("POST", READS, body, f"Bearer {sender.key}", wire.MSGPACK)

    assert reply.status == 200
    assert 1 <= len(msgspec.msgpack.decode(reply.data)["blobs"]) <= 8


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (READS, {"digests": ["0" * 64] * 10_001}),
        ("/v1/blobs/missing", {"digests": ["0" * 64] * 10_001}),
        ("/v1/blobs", {"blobs": [""] * 10_001}),
        ("/v1/jobs/info", {"jids": [[1, 1]], "keys": ["status"] * 101}),
        ("/v1/jobs/status", {"jids": [[1, 1]] * 200_001}),
        ("/v1/jobs/wait", {"jids": [[1, 1]], "statuses": ["done"] * 1000}),
    ],
)
def test_every_list_of_a_request_has_a_bound(sender: Sender, path: str, body: object) -> None:
    """A list beyond its bound is refused before anything is looked up."""
    assert sender.send("POST", path, body).status in (413, 422)


def test_a_deeply_nested_body_is_malformed(sender: Sender) -> None:
    """No depth of a body is a fault of the server."""
    for media, body in (
        (wire.JSON, b'{"jids":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        (wire.JSON, b"[" * 100_000),
        (wire.MSGPACK, b"\x91" * 100_000 + b"\x01"),
    ):
        reply = sender.raw("POST", "/v1/jobs/status", body, f"Bearer {sender.key}", media)
        assert reply.status in (400, 422)


@pytest.mark.parametrize(("path", "size"), [("/v1/slots", 70_000), ("/v1/jobs/status", 5_000_000)])
def test_a_request_that_names_things_is_small(sender: Sender, path: str, size: int) -> None:
    """Strangers send few bytes, and so do requests that only name things."""
    assert sender.send("POST", path, b" " * size).status == 413


def test_no_body_of_a_stranger_is_awaited(stack: Stack, sender: Sender) -> None:
    """Without a valid credential the head of a request is enough to refuse it."""
    where = urlsplit(stack.url)
    for path in ("/v1/jobs", "/v1/blobs", "/v1/work", "/v1/heartbeat", "/v1/jobs/kill"):
        with socket.create_connection((where.hostname, where.port), 5) as connection:
            connection.settimeout(5)
            connection.sendall(
                f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer wrong\r\n"
                "Content-Type: application/json\r\nContent-Length: 16000000\r\n\r\n{".encode()
            )
            assert connection.recv(100).startswith(b"HTTP/1.1 401"), path
    assert sender.send("POST", "/v1/jobs/status", {"jids": []}).status == 200


@pytest.mark.parametrize(
    "head", [b"", b"GET /v1/hea", b"POST /v1/slots HTTP/1.1\r\nHost: x\r\nX-A: b"]
)
def test_a_head_that_is_half_sent_is_closed(stack: Stack, head: bytes) -> None:
    """A connection that does not send the head of a request in time is closed."""
    where = urlsplit(stack.url)
    with socket.create_connection((where.hostname, where.port), 30) as connection:
        connection.settimeout(30)
        connection.sendall(head)
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(100) == b""


def test_a_head_without_an_end_is_refused(stack: Stack) -> None:
    """A head is not kept beyond its bound, however it arrives."""
    where = urlsplit(stack.url)
    with socket.create_connection((where.hostname, where.port), 5) as connection:
        connection.settimeout(5)
        connection.sendall(b"GET /v1/health?")
        with contextlib.suppress(ConnectionError):
            for _ in range(64):
                connection.sendall(b"a" * 65_536)
        with contextlib.suppress(ConnectionError):
            assert connection.recv(100).startswith((b"HTTP/1.1 400", b""))
            connection.settimeout(2)
            while connection.recv(65_536):
                pass


def test_a_credential_in_a_trailer_is_none(stack: Stack, sender: Sender) -> None:
    """What follows a body is not a header: a proxy may have let it pass unseen."""
    where = urlsplit(stack.url)
    with socket.create_connection((where.hostname, where.port), 5) as connection:
        connection.settimeout(5)
        connection.sendall(
            b"POST /v1/jobs/status HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b'Transfer-Encoding: chunked\r\n\r\nb\r\n{"jids":[]}\r\n0\r\n'
            b"Authorization: Bearer " + sender.key.encode() + b"\r\n\r\n"
        )

        assert connection.recv(1000).startswith(b"HTTP/1.1 401")
