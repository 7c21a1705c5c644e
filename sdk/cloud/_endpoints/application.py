"""Applications of WSGI and ASGI as published functions: each request is a call.

In a job they are run one request after the other.
"""

from __future__ import annotations

import asyncio
import inspect
import io
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_to_bytes, urlsplit

from picloud_model.wire.application import (
    APPLICATION,
    AppRequest,
    AppResponseHead,
    sealed_response,
)
from picloud_model.wire.rest import Parameter

from cloud._endpoints.encoding import Encoding
from cloud._endpoints.parameters import Signature
from cloud.errors import CloudTypeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PARAMETERS: Final = [
    Parameter(name="method", kind="str", required=False),
    Parameter(name="scheme", kind="str", required=False),
    Parameter(name="root", kind="str", required=False),
    Parameter(name="path", kind="str", required=False),
    Parameter(name="query", kind="str", required=False),
    Parameter(name="headers", kind="list", required=False),
    Parameter(name="body", kind="bytes", required=False),
]
"""The fields of a request."""
_WSGI, _ASGI = 2, 3
_PORTS: Final = {"http": 80, "https": 443}
_NOT_AN_APPLICATION: Final = (
    "The first argument must be an application of WSGI or ASGI, or a function without arguments "
    "that returns one, not {app!r:.80}."
)


class PublishedApplication:
    """An application that answers a request when it is called.

    Args:
        source: The application, a function without arguments that returns it, or the module that
            has it.
        name: The name of the application in this module.
    """

    def __init__(self, source: Any, name: str = "") -> None:
        self._source = source
        self._name = name
        self._server: Any = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Leave out what runs: each process makes it anew, for its first request."""
        return PublishedApplication, (self._source, self._name)

    def __call__(self, **fields: Any) -> bytes:
        """Answer a request; its fields are those of `AppRequest`."""
        if self._server is None:
            app = getattr(self._source, self._name) if self._name else self._source
            if interface_of(app) is None:
                app = app()
            self._server = server_of(app)
        answer: bytes = self._server(AppRequest(**fields))
        return answer


SIGNATURE: Final = Signature(PARAMETERS)
"""The parameters of an application."""
ENCODING: Final = Encoding(APPLICATION)
"""How its results are returned: they are responses."""


def application_of(app: Any) -> PublishedApplication:
    """Return an application that can be sent.

    One that is a variable of an importable module travels as that module does: objects of Flask
    cannot be pickled. A function travels as others do.

    Raises:
        CloudTypeError: When it is not an application.
    """
    interface_of(app)
    if not isinstance(app, FunctionType | type):
        for module in list(sys.modules.values()):
            if isinstance(module, ModuleType) and module.__name__ != "__main__":
                for name, value in list(vars(module).items()):
                    if value is app:
                        return PublishedApplication(module, name)
    return PublishedApplication(app)


def interface_of(app: Any) -> int | None:
    """Return 3 for an application of ASGI, 2 for WSGI, None for a function that returns one.

    That is how many arguments it takes.

    Raises:
        CloudTypeError: When it is none of them.

    >>> def application(environ, start_response): ...
    >>> interface_of(application), interface_of(lambda: application)
    (2, None)
    """
    if not callable(app):
        raise CloudTypeError(_NOT_AN_APPLICATION.format(app=app))
    if any(map(inspect.iscoroutinefunction, (app, type(app).__call__))) and _takes(app, _ASGI):
        return _ASGI
    try:
        declared = inspect.signature(app).parameters.values()
    except (TypeError, ValueError):
        raise CloudTypeError(_NOT_AN_APPLICATION.format(app=app)) from None
    if not any(each.default is each.empty for each in declared):
        return None
    found = next((each for each in (_WSGI, _ASGI) if _takes(app, each)), None)
    if found is None:
        raise CloudTypeError(_NOT_AN_APPLICATION.format(app=app))
    return found


def _takes(app: Callable[..., Any], count: int) -> bool:
    try:
        inspect.signature(app).bind(*range(count))
    except (TypeError, ValueError):
        return False
    return True


def server_of(app: Any) -> Callable[[AppRequest], bytes]:
    """Return what answers requests by an application.

    Raises:
        CloudTypeError: When a function has returned something else.
    """
    interface: int | None = None
    with suppress(CloudTypeError):
        interface = interface_of(app)
    if interface is None:
        raise CloudTypeError(
            f"The published function must return an application of WSGI or ASGI, not {app!r:.80}."
        )
    return AsgiServer(app) if interface == _ASGI else WsgiServer(app)


class WsgiServer:
    """Calls an application as PEP 3333 describes it."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self._app = app

    def __call__(self, request: AppRequest) -> bytes:
        """Answer a request."""
        begun: list[Any] = []
        written: list[bytes] = []

        def start_response(status: str, headers: list[Any], exc_info: Any = None) -> Any:
            if begun and exc_info is None:
                raise AssertionError("start_response was called twice without exc_info.")
            begun[:] = [status, headers]
            return written.append

        parts = self._app(_environ(request), start_response)
        try:
            written.extend(parts)
        finally:
            if hasattr(parts, "close"):
                parts.close()
        if not begun:
            raise RuntimeError("The application has not called start_response.")
        status, headers = begun
        head = AppResponseHead(int(status[:3]), [(str(name), str(each)) for name, each in headers])
        return sealed_response(head, b"".join(written))


def _environ(request: AppRequest) -> dict[str, Any]:
    """Return the environment of a request: text of it has a character for each byte."""
    headers: dict[str, str] = {}
    for name, value in request.headers:
        key = f"HTTP_{name.upper().replace('-', '_')}"
        separator = "; " if name == "cookie" else ","
        headers[key] = f"{headers[key]}{separator}{value}" if key in headers else value
    content_type = headers.pop("HTTP_CONTENT_TYPE", "")
    headers.pop("HTTP_CONTENT_LENGTH", None)
    host, port = _host(request)
    return {
        **headers,
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": unquote_to_bytes(request.root).decode("latin-1"),
        "PATH_INFO": unquote_to_bytes(request.path).decode("latin-1"),
        "QUERY_STRING": request.query,
        "CONTENT_TYPE": content_type,
        "CONTENT_LENGTH": str(len(request.body)),
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": request.scheme,
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }


class AsgiServer:
    """Calls an application as ASGI 3 describes it, in an event loop that stays.

    The application is started up before its first request; it is not shut down.
    """

    def __init__(self, app: Callable[..., Any]) -> None:
        self._app = app
        # The routes of Falcon, unlike what ASGI says, do not expect the root in the path.
        modules = [kind.__module__.partition(".")[0] for kind in type(app).__mro__]
        self._has_root = "falcon" not in modules
        self._loop = asyncio.new_event_loop()
        self._state: dict[str, Any] = {}
        self._lifespan: asyncio.Task[None] | None = None

    def __call__(self, request: AppRequest) -> bytes:
        """Answer a request."""
        # Threads must not outlive a job; they begin with the first function that needs one.
        with ThreadPoolExecutor() as threads:
            self._loop.set_default_executor(threads)
            return self._loop.run_until_complete(self._answer(request))

    def close(self) -> None:
        """Close the event loop; a job does not need to, as it ends with its process."""
        if self._lifespan is not None and self._lifespan.cancel():
            self._loop.run_until_complete(asyncio.wait([self._lifespan]))
        self._loop.close()

    async def _answer(self, request: AppRequest) -> bytes:
        if self._lifespan is None:
            await self._start()
        received = [{"type": "http.request", "body": request.body, "more_body": False}]
        sent: list[dict[str, Any]] = []
        never = asyncio.Event()

        async def receive() -> dict[str, Any]:
            if not received:
                await never.wait()  # the client stays until the response is complete
            return received.pop()

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = _scope(request, has_root=self._has_root)
        await self._app({**scope, "state": self._state.copy()}, receive, send)
        start = next((each for each in sent if each["type"] == "http.response.start"), None)
        if start is None:
            raise RuntimeError("The application has not sent http.response.start.")
        headers = [
            (bytes(name).decode("latin-1"), bytes(value).decode("latin-1"))
            for name, value in start.get("headers", ())
        ]
        parts = [each.get("body", b"") for each in sent if each["type"] == "http.response.body"]
        return sealed_response(AppResponseHead(start["status"], headers), b"".join(parts))

    async def _start(self) -> None:
        """Start the application up, if it takes part in that.

        Raises:
            RuntimeError: When it reports that it could not be started up.
        """
        loop = asyncio.get_running_loop()
        started: asyncio.Future[str] = loop.create_future()
        begins, never = [{"type": "lifespan.startup"}], asyncio.Event()

        async def receive() -> dict[str, Any]:
            if not begins:
                await never.wait()
            return begins.pop()

        async def send(message: dict[str, Any]) -> None:
            if not started.done():
                failed = message["type"] == "lifespan.startup.failed"
                started.set_result(message.get("message", "") or "no reason" if failed else "")

        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}}
        task = asyncio.ensure_future(self._app({**scope, "state": self._state}, receive, send))
        await asyncio.wait((task, started), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.exception()  # an application that has no lifespan may raise anything
        if started.done() and (reason := started.result()):
            raise RuntimeError(f"The application could not be started up: {reason}")
        self._lifespan = task


def _scope(request: AppRequest, *, has_root: bool) -> dict[str, Any]:
    root = unquote_to_bytes(request.root).decode("utf-8", "replace")
    path = unquote_to_bytes(request.path).decode("utf-8", "replace")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": request.scheme,
        "path": root + path if has_root else path,
        "raw_path": (request.root + request.path).encode("latin-1"),
        "query_string": request.query.encode("latin-1"),
        "root_path": root,
        "headers": [
            (name.encode("latin-1"), value.encode("latin-1")) for name, value in request.headers
        ],
        "client": None,
        "server": _host(request),
    }


def _host(request: AppRequest) -> tuple[str, int]:
    """Return the host and the port that a request names."""
    named = next((value for name, value in request.headers if name == "host"), "")
    parts = urlsplit(f"//{named}")
    try:
        port = parts.port
    except ValueError:
        port = None
    return parts.hostname or "localhost", port or _PORTS.get(request.scheme, 80)
