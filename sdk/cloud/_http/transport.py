"""Talking to the server: bodies, credential, retries and errors, the same for every request.

Every request may be sent twice: submits carry an id, blobs are named by their content, and the rest
asks or says what stays true. So whatever might have been lost is sent again.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
from picloud_model import wire

from cloud._http.exchange import Exchange, NoAnswer, Reply, Sent
from cloud.errors import CloudConnectionError, CloudException, from_problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloud._config.configuration import Config

Body = TypeVar("Body")

_AGAIN: Final = frozenset({429, 502, 503, 504})
_BINARY: Final = "application/octet-stream"
_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 5.0
_POLL_MARGIN_S: Final = 10.0
_ALREADY_THERE: Final = 412
_FIRST_ERROR: Final = 400
_REDIRECTS: Final = frozenset({302, 303, 307, 308})


class ServerAddress(msgspec.Struct, frozen=True):
    """Where a server is and what opens it. The key never shows in a `repr`.

    >>> ServerAddress("http://localhost:8787/", "pk_1_2")
    ServerAddress(url='http://localhost:8787')
    """

    url: str
    key: str

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "url", self.url.rstrip("/"))
        scheme, _, host = self.url.partition("://")
        if scheme not in ("http", "https") or not host:
            raise CloudException(
                f"{self.url!r} is no server URL; it looks like http://127.0.0.1:8787."
            )
        if not self.key.isprintable() or not self.key.isascii() or " " in self.key:
            raise CloudException("This is no API key: it has characters no key has.")

    def __repr__(self) -> str:
        return f"ServerAddress(url={self.url!r})"

    @property
    def key_id(self) -> str:
        """The part of the key that is no secret.

        >>> ServerAddress("http://localhost:8787", "pk_12ab_secret").key_id
        '12ab'
        """
        return self.key.split("_")[1] if self.key.count("_") > 1 else ""

    def connection_info(self, connection_type: str) -> dict[str, Any]:
        """What `cloud.connection_info` tells of it."""
        return {
            "opened": True,
            "connection_type": connection_type,
            "server_url": self.url,
            "api_key": self.key_id,
        }


class Pauses(msgspec.Struct, frozen=True):
    """How time passes between attempts; tests hand in their own."""

    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random
    clock: Callable[[], float] = time.monotonic

    def before(self, attempt: int, asked_s: float) -> None:
        """Pause before another attempt: exponential with full jitter, or what the server asked."""
        longest = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2**attempt)
        self.sleep(max(asked_s, longest * self.chance()))


class Transport:
    """Sends requests to one server.

    Args:
        address: Where the server is, and the key for it.
        config: How often to try and how long to wait.
        exchange: What carries the requests; the network by default.
        pauses: How to pause between attempts.
    """

    def __init__(
        self,
        address: ServerAddress,
        config: Config,
        exchange: Exchange | None = None,
        pauses: Pauses | None = None,
    ) -> None:
        self._config = config
        self._exchange = exchange
        self._pauses = pauses or Pauses()
        self._answered = False
        self.renew(address)

    def renew(self, address: ServerAddress) -> None:
        """Show another key from now on, to the same server."""
        self.address = address
        self._headers = {
            "Authorization": f"Bearer {address.key}",
            "Content-Type": wire.MSGPACK,
            "Accept": wire.MSGPACK,
        }

    def post(self, path: str, body: Any, kind: type[Body]) -> Body:
        """Send a body and read the answer.

        Raises:
            CloudException: What the server refused, or that none can be reached.
        """
        return self.send(path, wire.encode(body), kind)

    def send(self, path: str, body: bytes, kind: type[Body]) -> Body:
        """Send a body already encoded, so that a repeat has the very same bytes."""
        timeout_s = self._config.network_timeout
        return _decoded(self._answer(Sent("POST", path, self._headers, body, timeout_s)), kind)

    def poll(self, path: str, body: Any, kind: type[Body], hold_s: float) -> Body:
        """Send a body the server may hold for up to `hold_s` seconds before it answers.

        While the server cannot be reached this tries again for about as long.
        """
        sent = Sent("POST", path, self._headers, wire.encode(body), hold_s + _POLL_MARGIN_S)
        until = self._pauses.clock() + hold_s if self._answered else None
        return _decoded(self._answer(sent, until), kind)

    def put(self, url: str, data: bytes, headers: Mapping[str, str]) -> None:
        """Write bytes: to a path of the server, or with its own headers to a presigned URL.

        The store answers 412 where the very same bytes lie already.
        """
        own = url.startswith("/")
        sent_headers = {**self._headers, "Content-Type": _BINARY} if own else dict(headers)
        timeout_s = self._config.network_timeout
        self._answer(Sent("PUT", url, sent_headers, data, timeout_s))

    def get(self, path: str) -> bytes:
        """Read bytes, from the server or from where it points; the key goes to the server only."""
        timeout_s = self._config.network_timeout
        reply = self._answer(Sent("GET", path, self._headers, None, timeout_s))
        if reply.status in _REDIRECTS:
            target = reply.headers.get("Location", "")
            reply = self._answer(Sent("GET", target, {}, None, timeout_s))
        return reply.body

    def close(self) -> None:
        """Give back connections; the next request opens new ones."""
        if self._exchange is not None:
            self._exchange.close()

    def _answer(self, sent: Sent, until: float | None = None) -> Reply:
        """Exchange, again where it failed, until the attempts are used up and `until` is over."""
        attempt = 0
        while True:
            last = attempt >= self._config.retry_attempts and (
                until is None or self._pauses.clock() >= until
            )
            try:
                reply = self._carrier().exchange(sent)
            except NoAnswer as error:
                if error.lasting or last:
                    raise self._unreachable(error) from error
                self._pauses.before(attempt, 0.0)
            else:
                if reply.status not in _AGAIN or last:
                    break
                self._pauses.before(attempt, _asked_s(reply))
            attempt += 1
        self._answered = True
        written = sent.method == "PUT" and reply.status == _ALREADY_THERE
        if reply.status >= _FIRST_ERROR and not written:
            raise _refusal(reply, sent)
        return reply

    def _carrier(self) -> Exchange:
        if self._exchange is None:
            from cloud._http.connections import Connections  # noqa: PLC0415 - see its docstring

            self._exchange = Connections(self.address.url)
        return self._exchange

    def _unreachable(self, error: NoAnswer) -> CloudConnectionError:
        if self._answered:
            return CloudConnectionError(
                f"The PiCloud server at {self.address.url} does not answer any more ({error}).",
                retry=True,
            )
        return CloudConnectionError(
            f"No PiCloud server answers at {self.address.url} ({error}); "
            "start one with `picloud up`, or call cloud.start_simulator().",
            retry=True,
        )


def _decoded(reply: Reply, kind: type[Body]) -> Body:
    try:
        return wire.decode(reply.body, kind)
    except msgspec.MsgspecError as error:
        raise CloudException(
            f"The server's answer cannot be read ({error}); is it PiCloud, of this version?"
        ) from error


def _asked_s(reply: Reply) -> float:
    asked = reply.headers.get("Retry-After", "")
    return min(float(asked), 60.0) if asked.isascii() and asked.isdigit() else 0.0


def _refusal(reply: Reply, sent: Sent) -> CloudException:
    media = wire.JSON if wire.JSON in reply.headers.get("Content-Type", "") else wire.MSGPACK
    try:
        return from_problem(wire.decode(reply.body, wire.Problem, media))
    except msgspec.MsgspecError:
        where = sent.url.partition("?")[0]
        return CloudException(
            f"{sent.method} {where} was answered with HTTP status {reply.status}.",
            retry=reply.status in _AGAIN,
        )
