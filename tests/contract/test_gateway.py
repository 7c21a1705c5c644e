"""What each gateway port promises, over a real gateway process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from picloud_driver.gateway import Admission, BrowserRequest, Reply
from picloud_driver.gateway.process import GatewayProcess, SlotSide
from picloud_driver.gateway.refused import NoGateway
from picloud_gateway.listeners import MOST_WAITING
from picloud_gateway.pairing import MOST_WITHOUT_TICKET
from picloud_model.errors import RequestRefused, Unavailable
from picloud_model.wire.gateway import StreamLimits
from picloud_model.wire.tunnel import ACCEPTED
from picloud_model.wire.tunnel_ticket import TICKET_S, StreamEnd, TunnelTicket

from tests.polling import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from picloud_driver.gateway import SlotTicket, StreamTickets

HOST = "127.0.0.1"
WAIT_S = 30
SLOW = 50


class Peer:
    """A connection to a gateway."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def receive(self, count: int) -> bytes:
        async with asyncio.timeout(WAIT_S):
            return await self.reader.readexactly(count)

    async def rest(self) -> bytes:
        """Return what arrives until the other side has ended."""
        async with asyncio.timeout(WAIT_S):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""


class Peers:
    """Opens connections, and closes them after the test."""

    def __init__(self) -> None:
        self._opened: list[Peer] = []

    async def dial(self, port: int, ticket: str, host: str = HOST) -> Peer:
        """Connect, and send a ticket."""
        peer = await self.connect(port, host)
        await peer.send(ticket.encode() + b"\n")
        return peer

    async def connect(self, port: int, host: str = HOST) -> Peer:
        """Connect, and send nothing."""
        peer = Peer(*await asyncio.open_connection(host, port))
        self._opened.append(peer)
        return peer

    async def join(self, tickets: StreamTickets) -> tuple[Peer, Peer]:
        """Return both ends of a stream: the client's and the slot's."""
        ends = [await self.dial(tickets.port, each) for each in (tickets.slot, tickets.client)]
        for end in ends:
            assert await end.receive(len(ACCEPTED)) == ACCEPTED
        return ends[1], ends[0]

    async def close(self) -> None:
        for peer in self._opened:
            peer.writer.close()
            with contextlib.suppress(OSError):
                await peer.writer.wait_closed()


@pytest.fixture
async def peers() -> AsyncIterator[Peers]:
    """The connections of a test."""
    peers = Peers()
    yield peers
    await peers.close()


@pytest.fixture
async def gateway() -> AsyncIterator[GatewayProcess]:
    """A gateway."""
    gateway = GatewayProcess(HOST)
    yield gateway
    await gateway.close()


async def test_bytes_go_both_ways_and_each_end_ends_for_itself(
    gateway: GatewayProcess, peers: Peers
) -> None:
    """Many streams share one process; an end that has sent its last byte still receives."""
    ends = [await peers.join(await gateway.open()) for _ in range(20)]

    for number, (client, slot) in enumerate(ends):
        await client.send(b"question %d" % number)
        client.writer.write_eof()
        assert await slot.rest() == b"question %d" % number
        await slot.send(b"answer %d" % number)
        slot.writer.close()
        assert await client.rest() == b"answer %d" % number


async def test_a_slow_reader_holds_back_the_other_end(
    gateway: GatewayProcess, peers: Peers
) -> None:
    """The gateway keeps little of a stream: the sender waits, and nothing is lost."""
    client, slot = await peers.join(await gateway.open())
    piece, pieces = os.urandom(2**20), 64

    async def send() -> None:
        for _ in range(pieces):
            await client.send(piece)
        client.writer.write_eof()

    sending = asyncio.create_task(send())
    assert await slot.receive(1) == piece[:1]
    rss_kb = _memory_kb(gateway)
    for number in range(pieces):
        start = 1 if number == 0 else 0
        assert await slot.receive(len(piece) - start) == piece[start:]
    await sending

    assert await slot.rest() == b""
    assert _memory_kb(gateway) < rss_kb + 8 * 1024


def _memory_kb(gateway: GatewayProcess) -> int:
    lines = Path(f"/proc/{gateway.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1])


async def test_many_slow_readers_take_little_memory(gateway: GatewayProcess, peers: Peers) -> None:
    """Of streams that are sent more than they accept, the gateway keeps 64 KB each."""
    tickets = await gateway.open()
    await peers.join(tickets)
    rss_kb = _memory_kb(gateway)
    ends = [await peers.join(await gateway.open()) for _ in range(SLOW)]
    piece = bytes(2**16)

    for client, slot in ends:
        # Nothing reads, so that also the gateway's buffer fills up.
        slot.reader._transport.pause_reading()  # type: ignore[attr-defined]
        while client.writer.transport.get_write_buffer_size() == 0:
            client.writer.write(piece)
            await asyncio.sleep(0)

    assert _memory_kb(gateway) < rss_kb + SLOW * 64


async def test_many_connections_without_a_ticket(gateway: GatewayProcess, peers: Peers) -> None:
    """Of 10,000 that send nothing the oldest are closed: streams go on, and others can be opened.

    What they take is bounded.
    """
    client, slot = await peers.join(await gateway.open())
    port = (await gateway.open()).port
    rss_kb = _memory_kb(gateway)
    silent: deque[socket.socket] = deque()
    try:
        for number in range(10_000):
            silent.append(socket.create_connection((HOST, port)))
            if len(silent) > 2 * MOST_WITHOUT_TICKET:
                silent.popleft().close()
            if number % 2000 == 1999:
                await client.send(b"still")
                assert await slot.receive(5) == b"still"
                another, _ = await peers.join(await gateway.open())
                another.writer.close()
        assert _memory_kb(gateway) < rss_kb + 16 * 1024
    finally:
        for each in silent:
            each.close()


async def test_streams_end_when_they_are_idle_or_old(peers: Peers) -> None:
    """Both ends are closed: of a stream without a byte, and of one that never rests."""
    for limits in (StreamLimits(idle_s=0.2), StreamLimits(longest_s=0.2)):
        gateway = GatewayProcess(HOST, limits=limits)
        client, slot = await peers.join(await gateway.open())

        async def ask(client: Peer = client) -> None:
            with contextlib.suppress(OSError):
                while True:
                    await client.send(b"x")

        asking = asyncio.create_task(ask()) if limits.longest_s < 1 else None
        await slot.rest()
        await client.rest()
        if asking is not None:
            await asking
        await gateway.close()


async def test_a_gateway_that_is_killed_under_load(gateway: GatewayProcess, peers: Peers) -> None:
    """All its streams end within 2 s at both ends, whatever they carry; then new ones begin."""
    ends = [await peers.join(await gateway.open()) for _ in range(50)]
    pid = gateway.pid
    assert pid is not None
    carried = asyncio.Event()

    async def send(peer: Peer) -> None:
        with contextlib.suppress(OSError):
            while True:
                await peer.send(bytes(2**16))
                carried.set()

    busy = [asyncio.create_task(send(peer)) for both in ends for peer in both]
    reading = [asyncio.create_task(peer.rest()) for both in ends for peer in both]
    await carried.wait()

    os.kill(pid, signal.SIGKILL)

    async with asyncio.timeout(2):
        await asyncio.gather(*busy, *reading)
    await peers.join(await gateway.open())


async def test_a_ticket_opens_one_stream_once(gateway: GatewayProcess, peers: Peers) -> None:
    """Used ones, forged ones, expired ones and those of another gateway open nothing."""
    tickets = await gateway.open()
    await peers.join(tickets)
    another = GatewayProcess(HOST)
    foreign = (await another.open()).client
    expired = TunnelTicket("0" * 32, StreamEnd.CLIENT, until=1).signed(gateway._secret)
    forged = TunnelTicket("0" * 32, StreamEnd.CLIENT, until=10**11).signed(b"guessed")

    for text in (tickets.client, tickets.slot, foreign, expired, forged, "", "x" * 150):
        peer = await peers.dial(tickets.port, text)
        assert (await peer.rest()).startswith(b"The ticket is not valid")
    too_long = await peers.dial(tickets.port, "x" * 10_000)
    assert await too_long.rest() == b""
    await another.close()


async def test_two_ends_of_a_kind_are_no_stream(gateway: GatewayProcess, peers: Peers) -> None:
    """A client's ticket reaches the slot of its own stream only."""
    first, second = await gateway.open(), await gateway.open()
    one, other = (
        await peers.dial(first.port, first.client),
        await peers.dial(second.port, second.client),
    )
    slot = await peers.dial(second.port, second.slot)

    assert await other.receive(len(ACCEPTED)) == ACCEPTED
    await slot.send(b"for the second")
    slot.writer.close()
    assert await other.rest() == b"for the second"
    await gateway.close()  # instead of waiting until it gives up, which ends with a sentence
    assert await one.rest() == b""


async def test_streams_end_with_the_other_end(gateway: GatewayProcess, peers: Peers) -> None:
    """A connection that breaks ends the stream, also for an end that sends nothing."""
    client, slot = await peers.join(await gateway.open())
    broken = slot.writer.get_extra_info("socket")
    broken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # RST
    slot.writer.transport.abort()

    assert await client.rest() == b""


async def test_a_gateway_that_was_killed_is_started_again(
    gateway: GatewayProcess, peers: Peers
) -> None:
    """Its streams end with it; the next one has a new process and new tickets."""
    before = await gateway.open()
    client, slot = await peers.join(before)
    pid = gateway.pid
    assert pid is not None

    os.kill(pid, signal.SIGKILL)

    assert (await client.rest(), await slot.rest()) == (b"", b"")

    async def has_ended() -> bool:
        return gateway.pid is None

    await eventually(has_ended, "its end is known")
    client, slot = await peers.join(await gateway.open())
    await client.send(b"again")
    assert await slot.receive(5) == b"again"


async def test_slots_reach_it_at_another_address(peers: Peers) -> None:
    """At the first of the ports that is free; clients find it at the same port of their address."""
    with (
        socket.create_server(("127.0.0.2", 0)) as taken,
        socket.create_server(("127.0.0.2", 0)) as free,
    ):
        ports = [each.getsockname()[1] for each in (taken, free)]
        free.close()
        gateway = GatewayProcess(HOST, slots=SlotSide("127.0.0.2", ports))
        tickets = await gateway.open()
    try:
        assert tickets.port == ports[1]
        slot = await peers.dial(tickets.port, tickets.slot, "127.0.0.2")
        client = await peers.dial(tickets.port, tickets.client)
        assert await client.receive(len(ACCEPTED)) == ACCEPTED
        assert await slot.receive(len(ACCEPTED)) == ACCEPTED

        # Public ports are for clients.
        invited: asyncio.Queue[SlotTicket] = asyncio.Queue()
        port = await gateway.publish("job", invited.put)
        with pytest.raises(OSError, match="onnect"):
            await peers.connect(port, "127.0.0.2")
    finally:
        await gateway.close()


async def test_ports_are_published_at_a_host_of_their_own(peers: Peers) -> None:
    """And at that host only: other pages of this machine have another one."""
    gateway = GatewayProcess(HOST, public_host="127.0.0.2")
    invited: asyncio.Queue[SlotTicket] = asyncio.Queue()
    try:
        port = await gateway.publish("job", invited.put)
        await peers.connect(port, "127.0.0.2")
        assert (await invited.get()).port == (await gateway.open()).port
        with pytest.raises(OSError, match="onnect"):
            await peers.connect(port, HOST)
    finally:
        await gateway.close()


async def test_a_published_port_needs_no_ticket(gateway: GatewayProcess, peers: Peers) -> None:
    """Each client is announced with a ticket for the slot's end; what it sends first arrives."""
    invited: asyncio.Queue[SlotTicket] = asyncio.Queue()
    port = await gateway.publish("job", invited.put)
    assert await gateway.publish("job", invited.put) == port

    for number in range(3):
        client = await peers.connect(port)
        await client.send(b"question %d" % number)
        client.writer.write_eof()
        ticket = await invited.get()
        slot = await peers.dial(ticket.port, ticket.ticket)
        assert await slot.receive(len(ACCEPTED)) == ACCEPTED
        assert await slot.rest() == b"question %d" % number
        await slot.send(b"answer %d" % number)
        slot.writer.close()
        assert await client.rest() == b"answer %d" % number

    await gateway.withdraw("job")
    await gateway.withdraw("job")

    async def is_closed() -> bool:
        try:
            await peers.connect(port)
        except OSError:
            return True
        return False

    await eventually(is_closed, "nothing listens")
    assert invited.empty()


async def test_a_client_whose_slot_cannot_come_is_closed(
    gateway: GatewayProcess, peers: Peers
) -> None:
    """At once, and without a byte: it expects those of the job."""

    async def refuse(_ticket: SlotTicket) -> None:
        raise RequestRefused("The job has ended.")

    port = await gateway.publish("job", refuse)

    assert await (await peers.connect(port)).rest() == b""


async def test_too_many_clients_of_a_port_are_closed(gateway: GatewayProcess, peers: Peers) -> None:
    """Those that wait for a slot are limited; as soon as one has its slot, another may come."""
    invited: asyncio.Queue[SlotTicket] = asyncio.Queue()
    port = await gateway.publish("job", invited.put)
    clients = [await peers.connect(port) for _ in range(MOST_WAITING)]
    tickets = [await invited.get() for _ in clients]

    assert await (await peers.connect(port)).rest() == b""

    slot = await peers.dial(tickets[0].port, tickets[0].ticket)
    assert await slot.receive(len(ACCEPTED)) == ACCEPTED
    await peers.connect(port)
    await invited.get()


async def test_a_gateway_that_was_killed_publishes_again(
    gateway: GatewayProcess, peers: Peers
) -> None:
    """The name has another port then."""
    invited: asyncio.Queue[SlotTicket] = asyncio.Queue()
    await gateway.publish("job", invited.put)
    pid = gateway.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)

    async def has_ended() -> bool:
        return gateway.pid is None

    await eventually(has_ended, "its end is known")
    await peers.connect(await gateway.publish("job", invited.put))
    assert (await invited.get()).port


class Decisions:
    """Decides on the requests of browsers: those with the cookie `picloud_visit` go to a slot."""

    def __init__(self) -> None:
        self.requests: asyncio.Queue[BrowserRequest] = asyncio.Queue()
        self.invited: asyncio.Queue[SlotTicket] = asyncio.Queue()
        self.is_open = True
        self.raised: RequestRefused | None = None

    async def decide(self, request: BrowserRequest) -> Admission | Reply:
        """Return the decision."""
        await self.requests.put(request)
        if not self.is_open or "picloud_visit=" not in request.headers.get("cookie", ""):
            return Reply(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
        return Admission({"authorization": "token t"}, self.invite)

    async def invite(self, slot: SlotTicket) -> None:
        """Keep the ticket of the slot."""
        if self.raised is not None:
            raise self.raised
        await self.invited.put(slot)


REQUEST = (
    b"POST /api?x=1 HTTP/1.1\r\nHost: a.localhost\r\nConnection: keep-alive\r\n"
    b"Cookie: b=2; picloud_visit=v; c=3\r\nAuthorization: Basic x\r\nContent-Length: 4\r\n\r\nbo"
)


async def test_a_request_of_a_browser_is_decided_on(gateway: GatewayProcess, peers: Peers) -> None:
    """It arrives with other headers; the next one of its connection, too; others are replied to."""
    decisions = Decisions()
    port = await gateway.browse(0, decisions.decide)
    assert await gateway.browse(0, decisions.decide) == port
    browser = await peers.connect(port)

    await browser.send(REQUEST[:30])
    await browser.send(REQUEST[30:])
    ticket = await decisions.invited.get()
    await browser.send(b"dy")
    slot = await peers.dial(ticket.port, ticket.ticket)

    assert await slot.receive(len(ACCEPTED)) == ACCEPTED
    passed = (
        b"POST /api?x=1 HTTP/1.1\r\nhost: a.localhost\r\ncookie: b=2; c=3\r\n"
        b"content-length: 4\r\nauthorization: token t\r\nconnection: keep-alive\r\n\r\nbody"
    )
    assert await slot.receive(len(passed)) == passed
    await slot.send(b"answer")
    assert await browser.receive(6) == b"answer"
    request = await decisions.requests.get()
    assert (request.method, request.target, request.is_open) == ("POST", "/api?x=1", False)
    assert request.headers["host"] == "a.localhost"

    await browser.send(REQUEST + b"dy" + REQUEST)
    assert await slot.receive(len(passed)) == passed
    await slot.send(b"another")
    assert await browser.receive(7) == b"another"
    await browser.send(b"dy")
    assert await slot.receive(len(passed)) == passed
    assert decisions.invited.empty()
    await browser.send(REQUEST.replace(b"picloud_visit", b"picloud_other"))
    assert (await browser.rest()).startswith(b"HTTP/1.1 401 ")
    assert await slot.rest() == b""

    stranger = await peers.connect(port)
    await stranger.send(REQUEST.replace(b"picloud_visit", b"picloud_other"))
    assert (await stranger.rest()).startswith(b"HTTP/1.1 401 ")


async def test_a_connection_leads_to_one_host(gateway: GatewayProcess, peers: Peers) -> None:
    """A request for another one is sent again on a connection of its own, as browsers do."""
    decisions = Decisions()
    browser = await peers.connect(await gateway.browse(0, decisions.decide))
    await browser.send(REQUEST + b"dy")
    ticket = await decisions.invited.get()
    slot = await peers.dial(ticket.port, ticket.ticket)
    await slot.reader.readuntil(b"body")

    await browser.send(REQUEST.replace(b"a.localhost", b"b.localhost"))

    assert (await browser.rest()).startswith(b"HTTP/1.1 421 ")
    assert await slot.rest() == b""
    assert decisions.requests.qsize() == 1


async def test_a_request_of_a_proxy_is_alone(gateway: GatewayProcess, peers: Peers) -> None:
    """The reply closes the connection, as the next request may be of another browser."""
    decisions = Decisions()
    port = await gateway.browse(0, decisions.decide)
    proxied = REQUEST.replace(b"Host", b"X-Forwarded-For: 1.2.3.4\r\nHost")
    chunked = REQUEST.replace(b"Content-Length: 4", b"Transfer-Encoding: chunked")
    for request in (proxied, chunked, REQUEST.replace(b"keep-alive", b"close")):
        browser = await peers.connect(port)
        await browser.send(request)
        ticket = await decisions.invited.get()
        slot = await peers.dial(ticket.port, ticket.ticket)
        head = await slot.reader.readuntil(b"\r\n\r\n")

        assert head.endswith(b"\r\nconnection: close\r\n\r\n")


async def test_a_connection_that_goes_on_is_decided_on_again(
    gateway: GatewayProcess, peers: Peers
) -> None:
    """A WebSocket ends soon after its browser may no longer visit."""
    decisions = Decisions()
    port = await gateway.browse(0, decisions.decide)
    browser = await peers.connect(port)
    upgrade = REQUEST.replace(b"keep-alive", b"Upgrade\r\nUpgrade: websocket")
    await browser.send(upgrade)
    ticket = await decisions.invited.get()
    slot = await peers.dial(ticket.port, ticket.ticket)
    assert await slot.receive(len(ACCEPTED)) == ACCEPTED
    head = await slot.reader.readuntil(b"\r\n\r\n")
    assert b"\r\nupgrade: websocket\r\n" in head
    assert head.endswith(b"\r\nconnection: Upgrade\r\n\r\n")

    decisions.is_open = False

    assert await browser.rest() == b""
    assert await slot.rest() == b"bo"
    assert [decisions.requests.get_nowait().is_open for _ in range(2)] == [False, True]
    assert decisions.invited.empty()


async def test_a_browser_whose_slot_cannot_come_gets_a_reply(
    gateway: GatewayProcess, peers: Peers
) -> None:
    """Unlike a client of a port, it can read a sentence."""
    decisions = Decisions()
    decisions.raised = RequestRefused("The job has ended.")
    browser = await peers.connect(await gateway.browse(0, decisions.decide))

    await browser.send(REQUEST)

    reply = await browser.rest()
    assert reply.startswith(b"HTTP/1.1 503 ")
    assert reply.endswith(b"The job cannot be reached now; it may have ended.\n")
    assert reply.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize(
    "head",
    [
        b"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.0\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nCookie : picloud_visit=v\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nx: " + b"y" * 40_000,
        b"\x16\x03\x01" + b"\0" * 40_000,
    ],
)
async def test_what_is_not_a_request_is_refused(
    gateway: GatewayProcess, peers: Peers, head: bytes
) -> None:
    """The server does not learn of it, and no job."""
    decisions = Decisions()
    browser = await peers.connect(await gateway.browse(0, decisions.decide))

    with contextlib.suppress(ConnectionError):
        await browser.send(head)

    assert (await browser.rest()).startswith((b"HTTP/1.1 400 ", b""))
    assert decisions.requests.empty()


async def test_browsers_have_a_port_that_was_chosen(peers: Peers) -> None:
    """Gateways of several processes share it; if another program has it, that is said."""
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        gateways = [GatewayProcess(HOST) for _ in range(2)]
        decisions = Decisions()
        try:
            with pytest.raises(Unavailable, match="no port left"):
                await gateways[0].browse(port, decisions.decide)
            taken.close()
            ports = [await each.browse(port, decisions.decide) for each in gateways]
            browser = await peers.connect(port)
            await browser.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")

            assert ports == [port, port]
            assert (await browser.rest()).startswith(b"HTTP/1.1 401 ")
        finally:
            for each in gateways:
                await each.close()


async def test_where_there_is_none() -> None:
    """The error says why."""

    async def invite(_ticket: SlotTicket) -> None:
        raise AssertionError

    async def decide(_request: BrowserRequest) -> Reply:
        raise AssertionError

    gateway = NoGateway("It is not here.")
    for refused in (gateway.open(), gateway.publish("job", invite), gateway.browse(0, decide)):
        with pytest.raises(RequestRefused, match="not here"):
            await refused


def test_tickets_are_short_lived() -> None:
    """A leaked ticket is of no use a minute later."""
    assert TICKET_S <= 60
