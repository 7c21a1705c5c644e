"""The HTTP client of a slot: sends requests to the API, and raises every failure as an error.

`Unavailable` means to ask again, `NotAllowed` that the server does not know this slot, any other
error that the request was wrong. Presigned URLs lead to other servers, over a connection of their
own.
"""

from __future__ import annotations

import contextlib
import re
import select
import socket
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import urlsplit

import msgspec
from picloud_http.connection import Connection, head_of
from picloud_model import wire
from picloud_model.errors import (
    BlobMissing,
    NotAllowed,
    PiCloudError,
    ServerFault,
    Unavailable,
)
from picloud_model.wire.secret import JobSecrets, JobSecretsRequest

from picloud_worker.api.file_part import FilePart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from picloud_http.response import Response
    from picloud_model.wire.secret import JobSecret

Body = TypeVar("Body")

ANSWER_S: Final = 15.0
"""How long a response may take, beyond the time that the request asks the server to wait."""
_FIRST_LOOKS_S: Final = 0.25
_LATER_LOOKS_S: Final = 1.0
_CHUNK: Final = 1024 * 1024
_FIRST_ERROR: Final = 400
_REFUSED: Final = (401, 403)
_NOT_FOUND: Final = 404
_ALREADY_THERE: Final = 412
_TOO_MANY: Final = 429
_FAULTS: Final = 500
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_STORE_CODE: Final = re.compile(rb"<Code>(\w{1,60})</Code>")
"""What a blob store calls an error, in its XML."""


class ApiClient:
    """A connection to the API that is kept open; for one thread, except for `interrupt`."""

    def __init__(self, url: str, token: str = "") -> None:
        self._url = urlsplit(url)
        self._token = token
        self._connection = Connection(url)
        self._kept: tuple[tuple[str, str], Connection] | None = None
        """Where the last presigned URL led to, and the connection to there."""
        self._interrupted = False
        self.on_wait: Callable[[], None] | None = None
        """Called now and then while the server holds a request, in the thread of the request."""

    def with_token(self, token: str) -> ApiClient:
        """Return another connection to the same API, with the token of a slot."""
        return ApiClient(self._url.geturl(), token)

    @property
    def url(self) -> str:
        """The URL of the API."""
        return self._url.geturl()

    def post(self, path: str, body: wire.Request, kind: type[Body], wait_s: float = 0.0) -> Body:
        """Send a request and return its answer.

        Args:
            path: Like "/v1/work".
            body: The request.
            kind: The type of the answer.
            wait_s: How long the request asks the server to wait, in seconds.

        Raises:
            Unavailable: When there was no response, or a fault of the server; ask again.
            NotAllowed: When the server does not know this slot.
            PiCloudError: When the request was refused.
        """
        response = self._request("POST", path, wire.encode(body), wait_s)
        data = self._read(response)
        if response.status >= _FIRST_ERROR:
            raise _error(response.status, data)
        try:
            return wire.decode(data, kind)
        except msgspec.MsgspecError as error:
            raise ServerFault(f"{path} was answered with something else: {error}") from error

    def secrets(self, lease: wire.Lease) -> list[JobSecret]:
        """Return the secrets of the first job of a lease.

        Raises:
            Unavailable: As in `post`; also while the store of secrets is away.
            RequestRefused: When a secret was removed.
        """
        first = lease.jobs[0]
        job = wire.AttemptRef(lease.batch, first.index, first.attempt)
        return self.post("/v1/secrets/job", JobSecretsRequest(job=job), JobSecrets).secrets

    def download(self, digest: str) -> Iterator[bytes]:
        """Yield the bytes of a blob, from the API or from the URL it redirects to.

        Raises:
            BlobMissing: When there is no such blob.
            Unavailable: As in `post`.
        """
        response = self._request("GET", f"/v1/blobs/{digest}", None, 0.0)
        location = response.headers.get("location")
        if response.status in _REDIRECTS and location:
            self._read(response)
            yield from self._download_presigned(location)
        elif response.status >= _FIRST_ERROR:
            raise _error(response.status, self._read(response))
        else:
            yield from self._pieces(response)

    def fetch(self, url: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Return the status and the body of a GET to a path of the API, or to a presigned URL.

        Raises:
            Unavailable: When there was no response, or a fault of the server.
        """
        if urlsplit(url).scheme:
            with self._presigned("GET", url, headers) as reply:
                status, data = reply.status, reply.read()
        else:
            response = self._request("GET", url, None, 0.0, headers)
            status, data = response.status, self._read(response)
        if status >= _FAULTS:
            raise Unavailable(f"the server answered {status}")
        return status, data

    @contextlib.contextmanager
    def stream(self, url: str, headers: Mapping[str, str]) -> Iterator[Response]:
        """Yield the response to a GET like that of `fetch`, whose body is read in the block.

        Raises:
            Unavailable: When there is no response, or it breaks off.
        """
        if urlsplit(url).scheme:
            with self._presigned("GET", url, headers) as response:
                yield response
            return
        response = self._request("GET", url, None, 0.0, headers)
        try:
            yield response
        except (OSError, ValueError) as error:
            raise Unavailable(f"a download broke off: {error!r}") from error
        finally:
            if response.closing or not response.is_read:
                self.close()

    def upload(self, url: str, headers: Mapping[str, str], data: bytes | FilePart) -> None:
        """Upload bytes by PUT to a path of the API, or to a presigned URL.

        Raises:
            Unavailable: When they may not have arrived, or a presigned URL has expired: ask for
                another one.
            PiCloudError: When they were refused.
        """
        if urlsplit(url).scheme:
            status, answer = self._upload_presigned(url, headers, data)
            if status >= _FIRST_ERROR and status != _ALREADY_THERE:  # by another upload of the same
                raise _store_error(status, answer)
        else:
            response = self._request("PUT", url, data, 0.0, headers)
            status, answer = response.status, self._read(response)
            if status >= _FIRST_ERROR:
                raise _error(status, answer)

    def interrupt(self) -> None:
        """Abort the request of another thread, where it raises `Unavailable`.

        So does every later one until `resume`: an interrupt that comes before a request is sent,
        or while it connects, has the same effect as one that comes while it waits. Safe in signal
        handlers.
        """
        self._interrupted = True
        connected = self._connection.socket
        if connected is not None:
            with contextlib.suppress(OSError):
                connected.shutdown(socket.SHUT_RDWR)

    def resume(self) -> None:
        """Allow requests again after `interrupt`."""
        self._interrupted = False

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()
        kept, self._kept = self._kept, None
        if kept is not None:
            kept[1].close()

    def _download_presigned(self, url: str) -> Iterator[bytes]:
        """Download from a presigned URL, without the token."""
        with self._presigned("GET", url, {}) as response:
            if response.status == _NOT_FOUND:
                raise BlobMissing
            if response.status >= _FIRST_ERROR:
                raise Unavailable(_store_error(response.status, response.read()).message)
            yield from response.pieces()

    def _upload_presigned(
        self, url: str, headers: Mapping[str, str], data: bytes | FilePart
    ) -> tuple[int, bytes]:
        with self._presigned("PUT", url, headers, data) as response:
            return response.status, response.read()  # an error is a short text

    @contextlib.contextmanager
    def _presigned(
        self, verb: str, url: str, headers: Mapping[str, str], data: bytes | FilePart | None = None
    ) -> Iterator[Response]:
        """Ask another server; its failures, and those inside of the block, raise `Unavailable`.

        The connection is kept if the block reads the whole response.
        """
        origin = urlsplit(url)[:2]
        kept, self._kept = self._kept, None
        if kept is None or kept[0] != origin:
            if kept is not None:
                kept[1].close()
            kept = origin, Connection(url)
        connection = kept[1]
        is_whole = False
        try:
            response = _exchanged(connection, verb, url, headers, data)
            yield response
            is_whole = response.is_read and not response.closing
        except (OSError, ValueError) as error:
            raise Unavailable(f"the blob store does not answer: {error!r}") from error
        finally:
            if is_whole and self._kept is None:
                self._kept = kept
            else:
                connection.close()

    def _request(
        self,
        verb: str,
        path: str,
        body: bytes | FilePart | None,
        wait_s: float,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        lines = {
            "host": self._connection.host_header,
            "authorization": f"Bearer {self._token}" if self._token else "",
            "accept": wire.MSGPACK,
            "content-type": wire.MSGPACK,
            "content-length": str(body.size if isinstance(body, FilePart) else len(body or b"")),
            **{name.lower(): value for name, value in (headers or {}).items()},
        }
        target = f"{self._url.path.rstrip('/')}{path}"
        head = head_of(verb, target, {name: value for name, value in lines.items() if value})
        try:
            connection = self._connection.open()
            if self._interrupted:  # while it connected there was nothing to shut down
                raise InterruptedError("the request was interrupted")
            connection.settimeout(wait_s + ANSWER_S)
            pieces = body.pieces() if isinstance(body, FilePart) else body
            self._connection.send(head, pieces)
            if wait_s and self.on_wait is not None:
                self._look_around(connection, self.on_wait, wait_s + ANSWER_S)
            return self._connection.response()
        except (OSError, ValueError) as error:
            self.close()
            raise Unavailable(f"no response from {self._url.netloc}: {error!r}") from error

    def _look_around(
        self, connection: socket.socket, on_wait: Callable[[], None], timeout_s: float
    ) -> None:
        """Call `on_wait` now and then until a response arrives, or none has arrived in time."""
        waited_s, arrived = 0.0, False
        try:
            while waited_s < timeout_s and not arrived:
                pause_s = _FIRST_LOOKS_S if waited_s < _LATER_LOOKS_S else _LATER_LOOKS_S
                arrived = bool(select.select([connection], [], [], pause_s)[0])
                waited_s += pause_s
                if not arrived:
                    on_wait()
        finally:
            if not arrived:
                self.close()
        if not arrived:
            raise TimeoutError("timed out")

    def _pieces(self, response: Response) -> Iterator[bytes]:
        complete = False
        try:
            yield from response.pieces()
            complete = not response.closing
        except (OSError, ValueError) as error:
            raise Unavailable(f"a download broke off: {error!r}") from error
        finally:
            if not complete:
                self.close()

    def _read(self, response: Response) -> bytes:
        try:
            data = response.read()
        except (OSError, ValueError) as error:
            self.close()
            raise Unavailable(f"a response broke off: {error!r}") from error
        if response.closing:
            self.close()
        return data


def _exchanged(
    connection: Connection,
    verb: str,
    url: str,
    headers: Mapping[str, str],
    data: bytes | FilePart | None,
) -> Response:
    """Return the response to a request; one that a kept connection loses is sent again."""
    size = data.size if isinstance(data, FilePart) else len(data or b"")
    lines = {"host": connection.host_header, "content-length": str(size)} | dict(headers)
    head = head_of(verb, _target(url), lines)
    while True:
        was_open = connection.is_open
        try:
            connection.open().settimeout(ANSWER_S)
            connection.send(head, data.pieces() if isinstance(data, FilePart) else data)
            return connection.response()
        except OSError:
            connection.close()
            if not was_open:
                raise


def _target(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"


def refused_url(answer: str) -> str:
    """Return what to say of a presigned URL that was refused.

    >>> refused_url("403 AccessDenied")[:52]
    'the blob store refused a presigned URL (403 AccessDe'
    """
    return (
        f"the blob store refused a presigned URL ({answer}): it has expired, or the keys or the"
        " clock of the server are not what the store expects."
    )


def _store_error(status: int, answer: bytes) -> PiCloudError:
    """Return the error for the answer of a blob store to a presigned URL.

    A refusal says nothing of this slot: with another URL, the same request may succeed.
    """
    code = _STORE_CODE.search(answer)
    shown = f"{status} {code[1].decode()}" if code else str(status)
    if status in _REFUSED:
        return Unavailable(refused_url(shown))
    message = f"the blob store answered {shown}."
    return Unavailable(message) if status >= _FAULTS else PiCloudError(message)


def _error(status: int, data: bytes) -> PiCloudError:
    try:
        error = wire.decode(data, wire.Problem).error()
    except msgspec.MsgspecError:
        error = PiCloudError(f"the server answered {status}")
    if status >= _FAULTS or status == _TOO_MANY:
        return Unavailable(error.message)
    if status in _REFUSED:
        return error if isinstance(error, NotAllowed) else NotAllowed(error.message)
    return error
