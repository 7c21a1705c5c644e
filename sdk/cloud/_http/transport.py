"""Requests to the server: encoding, credentials, retries and errors.

Every request is idempotent: a submit has an id, a blob is named by its content, and other requests
read or set a state. So each request that may have been lost is sent again.
"""

from __future__ import annotations

import logging
import os
import random
import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
from picloud_model import wire
from picloud_model.errors import PathNotFound, RequestRefused

from cloud._http import tracing
from cloud._http.exchange import (
    Exchange,
    HttpReply,
    HttpRequest,
    LongBody,
    LongReply,
    NoAnswer,
)
from cloud.errors import CloudConnectionError, CloudException, CloudValueError, from_problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from picloud_model.pack import Pieces

    from cloud._config.configuration import Config

log = logging.getLogger(__name__)
Body = TypeVar("Body")
Request = TypeVar("Request", bound=wire.Request)

_RETRIED: Final = frozenset({429, 502, 503, 504})
_BINARY: Final = "application/octet-stream"
_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 5.0
_POLL_MARGIN_S: Final = 10.0
_ALREADY_THERE: Final = 412
_FIRST_ERROR: Final = 400
_REDIRECTS: Final = frozenset({302, 303, 307, 308})


def check_key(key: str) -> None:
    """Refuse a text that cannot be an API key; the error does not show it.

    Raises:
        CloudValueError: When it does not have the parts of a key.

    >>> check_key("pk_12ab_secret")
    """
    prefix, _, rest = key.partition("_")
    key_id, _, secret = rest.partition("_")
    if prefix != "pk" or not key_id or not secret:
        raise CloudValueError(
            "This is not a valid API key: a key looks like pk_ID_SECRET, and is printed as a whole "
            "only when it is created, as by `picloud key create`."
        )


class ServerAddress(msgspec.Struct, frozen=True):
    """The URL of a server and the API key for it. The key is not in the `repr`.

    >>> ServerAddress("http://localhost:8787/", "pk_1_2")
    ServerAddress(url='http://localhost:8787')
    """

    url: str
    key: str

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "url", self.url.rstrip("/"))
        scheme, _, host = self.url.partition("://")
        if scheme not in ("http", "https") or not host:
            # "localhost:8787" is what people type.
            is_host = ":" in self.url and "/" not in self.url
            example = f"http://{self.url}" if is_host else "http://127.0.0.1:8787"
            raise CloudValueError(
                f"{self.url!r} is not a valid server URL; it looks like {example}."
            )
        if not self.key.isprintable() or not self.key.isascii() or " " in self.key:
            raise CloudValueError(
                "This is not a valid API key: it has spaces, or characters that no key has."
            )

    def __repr__(self) -> str:
        return f"ServerAddress(url={self.url!r})"

    @property
    def key_id(self) -> str:
        """The part of the key that is not secret.

        >>> ServerAddress("http://localhost:8787", "pk_12ab_secret").key_id
        '12ab'
        """
        return self.key.split("_")[1] if self.key.count("_") > 1 else ""

    def connection_info(self, connection_type: str) -> dict[str, Any]:
        """Return what `cloud.connection_info` returns."""
        return {
            "opened": True,
            "connection_type": connection_type,
            "server_url": self.url,
            "api_key": self.key_id,
        }


class Backoff(msgspec.Struct, frozen=True):
    """Pauses between attempts; the clock and the randomness can be replaced in tests."""

    sleep: Callable[[float], None] = time.sleep
    random: Callable[[], float] = random.random
    clock: Callable[[], float] = time.monotonic

    def pause(self, attempt: int, retry_after_s: float) -> None:
        """Pause after an attempt: exponentially with full jitter, or as the server requires."""
        longest = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2**attempt)
        self.sleep(max(retry_after_s, longest * self.random()))


class Transport:
    """Sends requests to one server.

    Args:
        address: Where the server is, and the key for it.
        config: The number of attempts and the timeouts.
        exchange: What carries the requests; the network by default.
        backoff: The pauses between attempts.
    """

    def __init__(
        self,
        address: ServerAddress,
        config: Config,
        exchange: Exchange | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        self._config = config
        self._exchange = exchange
        self._backoff = backoff or Backoff()
        self._has_answered = False
        self.renew(address)

    def renew(self, address: ServerAddress) -> None:
        """Use another key from now on, for the same server."""
        self.address = address
        self._headers = {
            "Authorization": f"Bearer {address.key}",
            "Content-Type": wire.MSGPACK,
            "Accept": wire.MSGPACK,
        }

    def post(self, path: str, body: Any, kind: type[Body]) -> Body:
        """Send a body and decode the reply.

        Raises:
            CloudException: When the server rejects the request, or no server can be reached.
        """
        return self.send(path, wire.encode(body), kind)

    def send(self, path: str, body: bytes, kind: type[Body]) -> Body:
        """Send a body that is encoded already, so that a repetition has the same bytes."""
        timeout_s = self._config.network_timeout
        headers = {**self._headers, **tracing.headers(self._config)}
        request = HttpRequest(
            method="POST", url=path, headers=headers, body=body, timeout_s=timeout_s
        )
        return _decode(self._send(request), kind)

    def poll(self, path: str, body: Any, kind: type[Body], hold_s: float) -> Body:
        """Send a body to which the server may delay its reply for up to `hold_s` seconds."""
        request = HttpRequest(
            method="POST",
            url=path,
            headers=self._headers,
            body=wire.encode(body),
            timeout_s=hold_s + _POLL_MARGIN_S,
        )
        return _decode(self._send(request), kind)

    def put(self, url: str, data: bytes | Pieces | LongBody, headers: Mapping[str, str]) -> None:
        """Write bytes to a path of the server, or to a presigned URL with the headers it requires.

        The store replies with status 412 if it holds the same bytes already.
        """
        own = url.startswith("/")
        timeout_s = self._config.network_timeout
        self._send(
            HttpRequest(
                method="PUT",
                url=url,
                headers={**self._headers, "Content-Type": _BINARY, **headers}
                if own
                else {**headers},
                body=data,
                timeout_s=timeout_s,
            )
        )

    def get(self, path: str) -> bytes:
        """Read bytes from the server or from its redirect; only the server receives the key."""
        timeout_s = self._config.network_timeout
        reply = self._send(
            HttpRequest(method="GET", url=path, headers=self._headers, timeout_s=timeout_s)
        )
        if reply.status in _REDIRECTS:
            target = reply.headers.get("location", "")
            request = HttpRequest(method="GET", url=target, headers={}, timeout_s=timeout_s)
            reply = self._send(request)
        return reply.body

    def read(
        self,
        url: str,
        headers: Mapping[str, str],
        accept: Collection[int],
        target: LongReply | None = None,
    ) -> HttpReply:
        """Read bytes from a path of the server, or from a presigned URL.

        Args:
            url: Where the bytes are.
            headers: What else to send: a range, a condition.
            accept: The HTTP statuses of errors that are returned and not raised.
            target: Where to write the bytes; by default they are in the reply.
        """
        own = self._headers if url.startswith("/") else {}
        timeout_s = self._config.network_timeout
        request = HttpRequest(
            method="GET",
            url=url,
            headers={**own, **headers},
            timeout_s=timeout_s,
            target=target,
        )
        return self._send(request, accept)

    def close(self) -> None:
        """Close connections; the next request opens new ones."""
        if self._exchange is not None:
            self._exchange.close()

    @property
    def has_answered(self) -> bool:
        """Whether the server has answered any request yet."""
        return self._has_answered

    def _send(self, request: HttpRequest, accept: Collection[int] = ()) -> HttpReply:
        """Send a request, again after failures; statuses to `accept` are not errors."""
        attempt = 0
        while True:
            last = attempt >= self._config.retry_attempts
            _trace(request, "sent")
            try:
                reply = self._connected().exchange(request)
            except NoAnswer as error:
                _trace(request, error)
                if error.lasting or last:
                    raise self._unreachable(error) from error
                self._backoff.pause(attempt, 0.0)
            else:
                if reply.status not in _RETRIED or last:
                    break
                self._backoff.pause(attempt, _retry_after_s(reply))
            attempt += 1
        self._has_answered = True
        _trace(request, reply.status)
        is_stored = request.method == "PUT" and reply.status == _ALREADY_THERE
        if reply.status >= _FIRST_ERROR and not is_stored and reply.status not in accept:
            raise self._rejection(reply, request)
        return reply

    def _rejection(self, reply: HttpReply, request: HttpRequest) -> CloudException:
        media = wire.JSON if wire.JSON in reply.headers.get("content-type", "") else wire.MSGPACK
        try:
            problem = wire.decode(reply.body, wire.Problem, media)
        except msgspec.MsgspecError:
            return CloudException(
                f"{request.method} {_shown(request)} was answered with HTTP status {reply.status}.",
                retry=reply.status in _RETRIED,
            )
        unknown = wire.unknown_field(problem.message)
        if problem.code == PathNotFound.code:
            unknown = f"{request.method} {_shown(request)}"
        if unknown:
            message = (
                f"The server at {self.address.url} does not know `{unknown}`, as it is older than "
                "this client: upgrade the server, or do without it."
            )
            problem = msgspec.structs.replace(problem, message=message)
        return from_problem(problem)

    def _connected(self) -> Exchange:
        if self._exchange is None:
            from cloud._http.connections import Connections  # noqa: PLC0415 - see its docstring

            self._exchange = Connections(self.address.url)
        return self._exchange

    def _unreachable(self, error: NoAnswer) -> CloudConnectionError:
        if self._has_answered:
            return CloudConnectionError(
                f"The PiCloud server at {self.address.url} no longer answers ({error}): jobs and "
                "results are kept, and it continues with them once it is up again (`picloud up`).",
                retry=True,
            )
        return CloudConnectionError(
            f"No PiCloud server answers at {self.address.url} ({error}); "
            "start one with `picloud up`, or call cloud.start_simulator().",
            retry=True,
        )


def post_removal(transport: Transport, path: str, request: wire.Request) -> None:
    """Send a request to remove something, with an id by which the server knows a repeated one.

    Args:
        transport: Where to.
        path: The address.
        request: The request; its field `request_id` may be left out.
    """
    request = msgspec.structs.replace(request, request_id=os.urandom(16).hex())
    send_hint(lambda each: transport.post(path, each, wire.Answer), request, "request_id")


def send_hint(send: Callable[[Request], Body], request: Request, hint: str) -> Body:
    """Send a request; if the server is too old to know the field `hint`, send it without.

    Args:
        send: Sends a request and returns the reply.
        request: The request. It means the same without the hint.
        hint: A field whose default is None.
    """
    try:
        return send(request)
    except CloudValueError as error:
        if error.code != RequestRefused.code or f"does not know `{hint}`" not in str(error):
            raise
        return send(msgspec.structs.replace(request, **{hint: None}))


def _shown(request: HttpRequest) -> str:
    """Return the URL of a request without its query, which may contain a signature."""
    return request.url.partition("?")[0]


def _trace(request: HttpRequest, outcome: object) -> None:
    """Log a request or its outcome, for `picloud --verbose`."""
    if log.isEnabledFor(logging.DEBUG):
        log.debug("%s %s: %s", request.method, _shown(request), outcome)


def _decode(reply: HttpReply, kind: type[Body]) -> Body:
    try:
        return wire.decode(reply.body, kind)
    except msgspec.MsgspecError as error:
        raise CloudException(
            f"The server's answer cannot be read ({error}); is it PiCloud, of this version?"
        ) from error


def _retry_after_s(reply: HttpReply) -> float:
    seconds = reply.headers.get("retry-after", "")
    return min(float(seconds), 60.0) if seconds.isascii() and seconds.isdigit() else 0.0
