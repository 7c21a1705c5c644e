"""The connection to NATS: requests of JetStream's interface, batches and acknowledgements.

JetStream's interface is used as it is on the wire, JSON over request and reply: nats-py has no call
for atomic batches, nor for schedules.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import urllib.parse
import uuid
from typing import TYPE_CHECKING, Any, Final

import msgspec
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError
from picloud_model.errors import TooLarge, Unavailable

from picloud_driver.nats import election, faults
from picloud_driver.nats.api_refusal import VIOLATION, ApiRefusal
from picloud_driver.nats.direct_client import DirectClient

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from nats.aio.msg import Msg

    from picloud_driver.nats.access import NatsAccess
    from picloud_driver.nats.direct_client import Deliver
    from picloud_driver.nats.election import Result

_CONNECT_S: Final = 5.0
_RECONNECT_S: Final = 0.2
_REQUEST_S: Final = 10.0
_CLUSTER_REQUEST_S: Final = 3.0
"""How long one attempt of a request to a cluster waits; the next may reach another server."""
_PING_S: Final = 10
_CLUSTER_PING_S: Final = 5
"""A server that leaves two pings without an answer is lost."""
_DRAIN_S: Final = 1.0
_HEADER_BYTES: Final = 4096
"""Room for headers: the server counts them as part of a message, the client does not."""
_PORT: Final = 4222
_ACK: Final = b"+ACK"
_NAK: Final = b"-NAK"


class NatsGateway:
    """One connection, opened by its first use and again whenever it is lost."""

    def __init__(self, access: NatsAccess) -> None:
        self._access = access
        self._client: DirectClient | None = None
        self._connecting = asyncio.Lock()
        self._last_error: Exception | None = None
        self.on_reconnect: Callable[[], None] = lambda: None
        is_cluster = access.replicas > 1
        self._patience_s = election.PATIENCE_S if is_cluster else 0.0
        self._request_s = _CLUSTER_REQUEST_S if is_cluster else _REQUEST_S
        self._ping_s = _CLUSTER_PING_S if is_cluster else _PING_S

    @property
    def where(self) -> str:
        """The server, for messages."""
        return f"NATS at {self._access.address}"

    async def api(self, operation: str, body: Any = None) -> dict[str, Any]:
        """Send a request of JetStream's interface and return its answer.

        A cluster gets it again while it elects a leader; none of the requests that are used here
        does anything when it is repeated.

        Raises:
            ApiRefusal: When JetStream refuses it.
            Unavailable: When it does not answer.
        """
        payload = b"" if body is None else msgspec.json.encode(body)

        async def request() -> dict[str, Any]:
            client = await self._connected()
            try:
                reply = await client.request(
                    f"$JS.API.{operation}", payload, timeout=self._request_s
                )
            except (NatsError, OSError, TimeoutError) as error:
                raise self.refusal(error) from error
            return self._checked(reply.data)

        return await self.outlast(request)

    async def outlast(self, call: Callable[[], Awaitable[Result]]) -> Result:
        """Return the result of a call, which is repeated while a cluster elects a leader.

        Raises:
            PiCloudError: When it fails for another reason, or for too long.
        """
        return await election.outlast(call, self._patience_s)

    async def forward(self, subject: str, payload: bytes, timeout_s: float) -> bytes | None:
        """Send a request to another process and return its reply; None if none listens."""
        client = await self._connected()
        try:
            return (await client.request(subject, payload, timeout=timeout_s)).data
        except NoRespondersError:
            return None
        except (NatsError, OSError, TimeoutError) as error:
            raise self.refusal(error) from error

    async def publish_batch(
        self,
        messages: Sequence[tuple[str, bytes, Mapping[str, str]]],
        message_id: str = "",
    ) -> bool:
        """Store messages of one stream, all or none; return whether a stream takes them.

        A batch costs as few syncs of the disk for 1,000 messages as for two. Its last message has
        the id, by which the server refuses the whole batch when it is repeated; a repeated single
        message is confirmed, and not stored. A server whose store becomes full in the middle of a
        batch keeps its beginning, and does not answer: with the last message alone, the id is that
        of a whole batch.

        Args:
            messages: The subject, the body and the headers of each, up to 1,000.
            message_id: Identifies the batch, unless it is "".

        Raises:
            TooLarge: When a message is larger than the server takes.
            ApiRefusal: When JetStream refuses them.
            Unavailable: When it does not answer; a repetition stores nothing twice, unless the
                store was full.
        """
        client = await self._connected()
        self._refuse_too_large(client, messages)
        # One message alone is synced once; a batch of it would be four times.
        batch = {"Nats-Batch-Id": uuid.uuid4().hex} if len(messages) > 1 else {}
        *first, (subject, body, headers) = messages
        last = {**headers, **batch}
        if batch:
            last |= {"Nats-Batch-Sequence": str(len(messages)), "Nats-Batch-Commit": "1"}
        if message_id:
            last["Nats-Msg-Id"] = message_id
        try:
            if first:
                await client.publish_all(_in_batch(first, batch["Nats-Batch-Id"]))
            reply = await client.request(subject, body, timeout=self._request_s, headers=last)
            self._checked(reply.data)
        except NoRespondersError:
            return False
        except (NatsError, OSError, TimeoutError) as error:
            raise self.refusal(error) from error
        return True

    async def acknowledge(self, replies: Sequence[str]) -> bool:
        """Remove messages that were delivered; return whether their consumer still exists.

        A consumer handles acknowledgements in order, so the last one confirms those before it.

        Args:
            replies: The reply subjects of the deliveries, all of one consumer.
        """
        if not replies:
            return True
        client = await self._connected()
        try:
            for reply in replies[:-1]:
                await client.publish(reply, _ACK)
            await client.request(replies[-1], _ACK, timeout=self._request_s)
        except NoRespondersError:
            return False
        except (NatsError, OSError, TimeoutError) as error:
            raise self.refusal(error) from error
        return True

    async def give_back(self, replies: Sequence[str]) -> None:
        """Let messages that were delivered be delivered again."""
        client = await self._connected()
        try:
            for reply in replies:
                await client.publish(reply, _NAK)
        except (NatsError, OSError) as error:
            raise self.refusal(error) from error

    async def publish(self, subject: str, payload: bytes, reply: str = "") -> None:
        """Send a message without waiting for anything."""
        client = await self._connected()
        try:
            await client.publish(subject, payload, reply=reply)
        except (NatsError, OSError) as error:
            raise self.refusal(error) from error

    async def subscribe(
        self,
        subject: str,
        receive: Callable[[Msg], Awaitable[None]],
        *,
        group: str = "",
        deliver: Deliver | None = None,
    ) -> Callable[[], Awaitable[None]]:
        """Receive the messages of a subject from now on; return what ends that.

        Args:
            subject: What they are published to.
            receive: Gets each of them.
            group: Of the subscriptions with the same group, one receives each message. A
                subscription that ends receives what the server has sent to it before.
            deliver: Gets the messages instead, where the client can do so.
        """
        client = await self._connected()
        subscription = await client.subscribe(subject, group, cb=receive)
        if deliver is not None:
            client.deliver_directly(subscription, deliver)

        async def end() -> None:
            client.end_delivery(subscription)
            with contextlib.suppress(NatsError, OSError, TimeoutError):
                if group and client.is_connected:
                    async with asyncio.timeout(_DRAIN_S):
                        await subscription.drain()  # type: ignore[no-untyped-call]
                else:
                    await subscription.unsubscribe()

        return end

    def inbox(self) -> str:
        """Return a subject that no other process uses."""
        return f"_INBOX.{uuid.uuid4().hex}"

    async def close(self) -> None:
        """Close the connection."""
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(NatsError, OSError, TimeoutError):
                await client.close()

    def refusal(self, error: Exception, code: str = "") -> Exception:
        """Return the error of the platform for one of NATS."""
        return faults.refusal(error, self.where, code)

    def _checked(self, data: bytes) -> dict[str, Any]:
        answer: dict[str, Any] = msgspec.json.decode(data)
        if error := answer.get("error"):
            raise ApiRefusal(str(error.get("err_code", "")), error.get("description", ""))
        return answer

    @staticmethod
    def _refuse_too_large(
        client: DirectClient, messages: Sequence[tuple[str, bytes, Mapping[str, str]]]
    ) -> None:
        most = client.max_payload - _HEADER_BYTES
        largest = max((len(body) for _, body, _ in messages), default=0)
        if largest > most:
            raise TooLarge(f"A message of {largest:,} bytes is larger than NATS takes ({most:,}).")

    async def _connected(self) -> DirectClient:
        """Return the connection.

        Raises:
            Unavailable: When there is none now; it is not waited for.
        """
        client = self._client
        if client is not None and client.is_connected:
            return client
        if client is not None and not client.is_closed:
            error = self._last_error or OSError("disconnected")
            raise faults.refusal(error, self.where)
        async with self._connecting:
            if self._client is None or self._client.is_closed:
                self._client = await self._connect()
            return self._client

    async def _connect(self) -> DirectClient:
        access, client = self._access, DirectClient()
        self._last_error = None
        servers, host = await server_urls(access.address)
        options: dict[str, Any] = {
            "tls_hostname": host or None,
            **_credentials(access),
            "user_credentials": access.creds_file or None,
            "tls": self._tls(),
            "reconnect_time_wait": _RECONNECT_S,
        }
        try:
            async with asyncio.timeout(_CONNECT_S):
                await client.connect(
                    servers,
                    name="picloud",
                    error_cb=self._note,
                    reconnected_cb=self._reconnected,
                    max_reconnect_attempts=1,
                    connect_timeout=2,
                    ping_interval=self._ping_s,
                    **{name: value for name, value in options.items() if value is not None},
                )
        except Exception as error:
            # The library's own exception names only that no server was left to try.
            last = self._last_error
            with contextlib.suppress(Exception):
                await client.close()
            raise faults.refusal(last or error, self.where) from error
        # From now on forever: `_connected` says meanwhile that the server is away.
        client.options["max_reconnect_attempts"] = -1
        return client

    def _tls(self) -> ssl.SSLContext | None:
        access = self._access
        if not access.ca_file and not access.address.startswith("tls://"):
            return None
        try:
            context = ssl.create_default_context(cafile=access.ca_file or None)
            if access.cert_file:
                context.load_cert_chain(access.cert_file, access.key_file or None)
        except OSError as error:
            message = f"{self.where}: its certificate files cannot be read: {error}"
            raise Unavailable(message) from error
        logging.getLogger("asyncio").addFilter(_is_worth_logging)
        return context

    async def _note(self, error: Exception) -> None:
        # What the server said matters more than that it closed the connection then.
        if VIOLATION not in str(self._last_error):
            self._last_error = error

    async def _reconnected(self) -> None:
        self._last_error = None
        self.on_reconnect()


def _in_batch(
    messages: Sequence[tuple[str, bytes, Mapping[str, str]]], batch_id: str
) -> list[tuple[str, bytes, bytes]]:
    """Return the first messages of an atomic batch, with the headers that make them part of it."""
    begun = f"NATS/1.0\r\nNats-Batch-Id: {batch_id}\r\nNats-Batch-Sequence: "
    made = []
    for number, (subject, body, headers) in enumerate(messages, 1):
        own = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        made.append((subject, f"{begun}{number}\r\n{own}\r\n".encode(), body))
    return made


async def server_urls(address: str) -> tuple[list[str], str]:
    """Return the URLs of all servers, and the name that their certificates have if it is not there.

    A single host may have the addresses of several servers. Each is tried for two seconds only:
    with the name, one that is lost would take all of these.

    >>> asyncio.run(server_urls("nats://127.0.0.1:1,nats://127.0.0.1:2"))
    (['nats://127.0.0.1:1', 'nats://127.0.0.1:2'], '')
    """
    urls = address.split(",")
    parts = urllib.parse.urlsplit(urls[0])
    if len(urls) > 1 or not parts.hostname:
        return urls, ""
    port = parts.port or _PORT
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            parts.hostname, port, type=socket.SOCK_STREAM
        )
    except OSError:
        return urls, ""  # The client says so.
    hosts = {each[4][0]: each[0] for each in found}
    if len(hosts) == 1:
        return urls, ""
    bracketed = [f"[{host}]" if kind == socket.AF_INET6 else host for host, kind in hosts.items()]
    return [f"{parts.scheme}://{host}:{port}" for host in bracketed], parts.hostname


def _credentials(access: NatsAccess) -> dict[str, str | None]:
    if access.user:
        return {"user": access.user, "password": access.token}
    return {"token": access.token or None}


def _is_worth_logging(record: logging.LogRecord) -> bool:
    """Whether a record is not asyncio's remark on how nats-py ends a connection with TLS."""
    return "eof_received() has no effect when using ssl" not in str(record.msg)
