"""What each webhook port promises, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
from ipaddress import ip_network
from typing import TYPE_CHECKING

import pytest
from picloud_driver.webhook import NotDelivered
from picloud_driver.webhook.direct import DirectWebhooks
from picloud_driver.webhook.network_policy import NetworkPolicy
from picloud_model.errors import RequestRefused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

OPEN = NetworkPolicy([ip_network("127.0.0.1/32")])
NOT_DIALLED = [
    "127.0.0.1", "127.1.2.3", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1",
    "169.254.169.254", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::1", "::", "fe80::1",
    "fe80::1%lo", "fc00::1", "fec0::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "64:ff9b::7f00:1", "2002:7f00:1::", "::7f00:1",
]  # fmt: skip


class Receiver:
    """A server that answers each request with the next of some answers."""

    def __init__(self, answers: list[bytes]) -> None:
        self.answers = answers
        self.requests: list[bytes] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
        self.requests.append(head + await reader.readexactly(length))
        answer = self.answers.pop(0)
        with contextlib.suppress(ConnectionError):
            writer.write(answer)
            await writer.drain()
            if answer:
                await reader.read()
        writer.close()

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        """Return an address of this server."""
        return f"http://{host}:{self.port}{path}"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A server that accepts everything, until a test gives it other answers."""
    made = Receiver([b"HTTP/1.1 204 No Content\r\n\r\n"])
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    async with server:
        yield made


async def test_a_body_is_posted(receiver: Receiver) -> None:
    """With its headers, at the path and with the query of the URL."""
    await DirectWebhooks(OPEN).post(receiver.url("/a?b=c"), {"X-One": "1"}, b"{}")

    (request,) = receiver.requests
    head, _, body = request.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n" % receiver.port)
    assert b"\r\nX-One: 1" in head
    assert b"\r\nContent-Type: application/json\r\nContent-Length: 2\r\n" in head
    assert body == b"{}"


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (b"HTTP/1.1 500 No\r\n\r\n", "status 500"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\n\r\n", "status 302"),
        (b"SSH-2.0-x\r\n", "does not speak HTTP"),
        (b"x" * 100_000, "cannot be reached"),
        (b"", "cannot be reached"),
    ],
)
async def test_what_is_not_accepted_is_not_delivered(
    receiver: Receiver, answer: bytes, cause: str
) -> None:
    """Redirects are not followed, and no more than the first line of an answer is read."""
    receiver.answers = [answer]

    with pytest.raises(NotDelivered, match=cause):
        await DirectWebhooks(OPEN).post(receiver.url(), {}, b"{}")
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("address", NOT_DIALLED)
async def test_addresses_that_are_not_public_are_not_dialled(address: str) -> None:
    """Whether a URL has them, or a name resolves to them."""

    async def resolve(_host: str, _port: int) -> list[str]:
        return [address]

    webhooks = DirectWebhooks(NetworkPolicy(), resolve)

    if "%" not in address:
        host = f"[{address}]" if ":" in address else address
        with pytest.raises(RequestRefused, match="public addresses only"):
            webhooks.check(f"http://{host}/")
    with pytest.raises(NotDelivered, match="public addresses only"):
        await webhooks.post("http://name.example/", {}, b"")


async def test_the_address_that_was_checked_is_dialled(receiver: Receiver) -> None:
    """A name is resolved once: its second answer, another address, is not asked for."""
    answers = [["10.0.0.1", "127.0.0.1"], ["127.0.0.2"]]

    async def resolve(_host: str, _port: int) -> list[str]:
        return answers.pop(0)

    await DirectWebhooks(OPEN, resolve).post(receiver.url(host="name.example"), {}, b"")

    assert len(answers) == 1
    assert b"\r\nHost: name.example:%d\r\n" % receiver.port in receiver.requests[0]


@pytest.mark.parametrize(
    "url",
    [
        "example.org", "ftp://example.org/", "https://", "https://a b/", "https://a/\r\nX: y",
        "https://user:pw@example.org/", "https://example.org:0/", "https://example.org:65536/",
        "https://example.org/#part", "https://exämple.org/", "https://example.org\\@x/", "",
    ],
)  # fmt: skip
def test_what_is_not_a_url_is_refused(url: str) -> None:
    """In one sentence, which shows one that is."""
    with pytest.raises(RequestRefused, match="A webhook is an address such as https://"):
        DirectWebhooks(OPEN).check(url)


def test_names_and_public_addresses_are_accepted() -> None:
    """A name is not resolved before there is something to post; this machine's own is refused."""
    webhooks = DirectWebhooks(NetworkPolicy())

    for url in ("https://example.org/jobs?a=b", "http://1.1.1.1:8080", "https://[2606:4700::1]/"):
        webhooks.check(url)
    with pytest.raises(RequestRefused, match="public addresses only"):
        webhooks.check("http://LOCALHOST./")
    DirectWebhooks(OPEN).check("http://localhost/")
