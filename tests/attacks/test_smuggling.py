"""Malformed HTTP: one request is never taken for two, and none makes the server grow."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import pytest
from picloud_model.wire import REQUEST_BYTES

if TYPE_CHECKING:
    from tests.attacks.sender import Sender
    from tests.e2e.stacks import Stack

WAIT_S: Final = 10.0
HIDDEN: Final = b"GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n"
HEAD: Final = b"POST /v1/jobs/status HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
CHUNKED: Final = b"0\r\n\r\n"
AMBIGUOUS: Final = {
    "CL.TE": HEAD + b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n" % (5 + len(HIDDEN))
    + CHUNKED + HIDDEN,
    "TE.CL": HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n" + b"%x\r\n" % len(
        HIDDEN) + HIDDEN + b"\r\n" + CHUNKED,
    "two lengths": HEAD + b"Content-Length: 2\r\nContent-Length: %d\r\n\r\n{}" % (2 + len(HIDDEN))
    + HIDDEN,
    "a list of lengths": HEAD + b"Content-Length: 2, 2\r\n\r\n{}" + HIDDEN,
    "a negative length": HEAD + b"Content-Length: -1\r\n\r\n" + HIDDEN,
    "a signed length": HEAD + b"Content-Length: +2\r\n\r\n{}" + HIDDEN,
    "a length in hex": HEAD + b"Content-Length: 0x2\r\n\r\n{}" + HIDDEN,
    "an endless length": HEAD + b"Content-Length: " + b"9" * 40 + b"\r\n\r\n{}" + HIDDEN,
    "another coding": HEAD + b"Transfer-Encoding: xchunked\r\n\r\n" + CHUNKED + HIDDEN,
    "chunked twice": HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n" + CHUNKED + HIDDEN,
    "space before colon": HEAD + b"Content-Length : 2\r\n\r\n{}" + HIDDEN,
    "a bad chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + HIDDEN,
    "an endless chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 40 + b"\r\n" + HIDDEN,
    "NUL in a header": HEAD + b"X: a\0b\r\n\r\n" + HIDDEN,
    "a folded header": HEAD + b"X: a\r\n Content-Length: 2\r\n\r\n" + HIDDEN,
    "no version": b"POST /v1/jobs/status\r\n\r\n" + HIDDEN,
    "binary": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20 + HIDDEN,
}  # fmt: skip
"""Requests that two parsers could read as one or as two."""


def answer_to(stack: Stack, *pieces: bytes) -> bytes:
    """Return everything that the server answers until it closes or pauses."""
    where = urlsplit(stack.url)
    answer = b""
    with socket.create_connection((where.hostname, where.port), timeout=WAIT_S) as line:
        with suppress(OSError):
            for piece in pieces:
                line.sendall(piece)
            line.shutdown(socket.SHUT_WR)
        with suppress(OSError):
            while piece := line.recv(65536):
                answer += piece
    return answer


def healthy(sender: Sender) -> None:
    """Check that the server still serves."""
    assert sender.send("GET", "/v1/health").status == 200


@pytest.mark.parametrize("kind", AMBIGUOUS)
def test_one_request_is_never_two(sender: Sender, stack: Stack, kind: str) -> None:
    """An ambiguous request is refused, and a request hidden in its body is not answered."""
    answer = answer_to(stack, AMBIGUOUS[kind])

    assert b'"healthy"' not in answer, answer
    assert not answer.startswith(b"HTTP/1.1 2"), answer
    healthy(sender)


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v1/health HTTP/1.1\r\nHost: x\r\n" + b"X: " + b"a" * 1_000_000 + b"\r\n\r\n",
        b"GET /v1/health HTTP/1.1\r\nHost: x\r\n" + b"X-A: b\r\n" * 100_000 + b"\r\n",
    ],
    ids=["address", "header", "headers"],
)
def test_a_huge_head_leaves_the_server_well(sender: Sender, stack: Stack, head: bytes) -> None:
    """A head of a megabyte is refused, or answered for what it is; the server serves on."""
    answer = answer_to(stack, head)

    assert b"HTTP/1.1 5" not in answer
    healthy(sender)


def test_a_length_told_is_refused_unread(sender: Sender, stack: Stack) -> None:
    """An announced terabyte is refused at once, without waiting for it."""
    head = HEAD + f"Authorization: Bearer {sender.key}\r\n".encode()

    where = urlsplit(stack.url)
    # A client that disconnects at once may get no reply, so this one waits.
    with socket.create_connection((where.hostname, where.port), timeout=WAIT_S) as line:
        line.sendall(head + b"Content-Length: 1000000000000\r\n\r\n{")
        answer = line.recv(65536)

    assert answer.startswith(b"HTTP/1.1 413"), answer


def test_a_body_without_an_end_is_not_kept(sender: Sender, stack: Stack) -> None:
    """A body without an end is refused after some chunks; the server's memory has not grown."""
    before = sum(process.memory_info().rss for process in stack.api())
    head = HEAD + f"Authorization: Bearer {sender.key}\r\n".encode()
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"

    for _ in range(4):
        answer = answer_to(
            stack, head + b"Transfer-Encoding: chunked\r\n\r\n", *[chunk] * 64, CHUNKED
        )
        assert not answer.startswith(b"HTTP/1.1 2")

    after = sum(process.memory_info().rss for process in stack.api())
    assert after - before < 6 * REQUEST_BYTES
    healthy(sender)
