"""Applications: recognised, sent, and called as WSGI and ASGI describe it."""

from __future__ import annotations

import asyncio
import json
import pickle
import sys
import threading
from types import ModuleType
from typing import TYPE_CHECKING, Any

import cloudpickle
import falcon
import falcon.asgi
import flask
import pytest
import starlette.applications
import starlette.responses
import starlette.routing
from cloud._endpoints import application
from cloud._endpoints.application import PublishedApplication, application_of, interface_of
from picloud_model.errors import RequestRefused
from picloud_model.wire.application import (
    MAX_HEAD_BYTES,
    AppRequest,
    AppResponseHead,
    response_head,
    sealed_response,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Resource:
    """Returns what it was sent."""

    def on_get(self, request: Any, response: Any) -> None:
        """Show a request."""
        response.media = [request.path, request.root_path, request.params, request.host]

    def on_put(self, request: Any, response: Any) -> None:
        """Return the body."""
        response.data = request.bounded_stream.read()


class AsyncResource:
    """The same for ASGI."""

    async def on_get(self, request: Any, response: Any) -> None:
        """Show a request."""
        response.media = [request.path, request.root_path, request.params, request.host]

    async def on_put(self, request: Any, response: Any) -> None:
        """Return the body."""
        response.data = await request.stream.read()


def wsgi() -> Any:
    """Return an application of WSGI."""
    app = falcon.App()
    app.add_route("/a,b", Resource())
    return app


def asgi() -> Any:
    """Return an application of ASGI."""
    app = falcon.asgi.App()
    app.add_route("/a,b", AsyncResource())
    return app


def of_flask() -> Any:
    """Return an application of Flask."""
    app = flask.Flask("of_flask")

    @app.get("/items/<name>")
    def item(name: str) -> dict[str, Any]:
        return {"name": name, "args": flask.request.args, "url": flask.url_for("item", name="b")}

    @app.post("/items")
    def add() -> tuple[Any, int]:
        return flask.request.get_json(), 201

    @app.get("/old")
    def old() -> Any:
        return flask.redirect(flask.url_for("item", name="b"))

    return app


def of_starlette() -> Any:
    """Return an application of Starlette."""

    async def item(request: Any) -> Any:
        name, args = request.path_params["name"], dict(request.query_params)
        url = request.url_for("item", name="b").path
        return starlette.responses.JSONResponse({"name": name, "args": args, "url": url})

    async def add(request: Any) -> Any:
        return starlette.responses.JSONResponse(await request.json(), 201)

    def old(request: Any) -> Any:  # in a thread: it is no coroutine
        url = request.url_for("item", name="b").path
        return starlette.responses.RedirectResponse(url, 302)

    routes = [("/items/{name}", item, "GET"), ("/items", add, "POST"), ("/old", old, "GET")]
    return starlette.applications.Starlette(
        routes=[starlette.routing.Route(path, do, methods=[verb]) for path, do, verb in routes]
    )


@pytest.fixture
def server_of() -> Iterator[Callable[[Any], Any]]:
    """Make servers of applications, and close them."""
    made: list[Any] = []

    def make(app: Any) -> Any:
        made.append(application.server_of(app))
        return made[-1]

    yield make
    for each in made:
        if isinstance(each, application.AsgiServer):
            each.close()


def answered(server: Callable[[AppRequest], bytes], **fields: Any) -> tuple[AppResponseHead, bytes]:
    """Return the response to a request."""
    data = server(AppRequest(**fields))
    head, start = response_head(data)
    return head, data[start:]


@pytest.mark.parametrize("make", [wsgi, asgi])
def test_an_application_gets_a_request(
    server_of: Callable[[Any], Any], make: Callable[[], Any]
) -> None:
    """Its path, what it is below of, parameters, headers and body."""
    server = server_of(make())

    head, body = answered(
        server, root="/r/a1/x", path="/a%2Cb", query="c=d", headers=[["host", "example.org:81"]]
    )

    assert (head.status, body) == (200, b'["/a,b", "/r/a1/x", {"c": "d"}, "example.org"]')
    assert answered(server, method="PUT", path="/a%2Cb", body=b"\0\xff")[1] == b"\0\xff"
    assert answered(server, path="/other")[0].status == 404


@pytest.mark.parametrize("make", [of_flask, of_starlette])
def test_applications_of_frameworks_know_where_they_are(
    server_of: Callable[[Any], Any], make: Callable[[], Any]
) -> None:
    """Their routes are below the URL of the endpoint, and so are the addresses that they make."""
    server = server_of(make())
    root = "/r/a1/shop"
    json_of = [["content-type", "application/json"], ["host", "example.org"]]

    head, body = answered(server, root=root, path="/items/a%20b", query="c=d")
    added = answered(server, root=root, path="/items", method="POST", headers=json_of, body=b"[1]")
    moved, _ = answered(server, root=root, path="/old")

    assert (head.status, json.loads(body)) == (
        200,
        {"name": "a b", "args": {"c": "d"}, "url": f"{root}/items/b"},
    )
    assert (added[0].status, json.loads(added[1])) == (201, [1])
    location = {name.lower(): value for name, value in moved.headers}["location"]
    assert (moved.status, location) == (302, f"{root}/items/b")
    assert answered(server, root=root, path="/missing")[0].status == 404
    assert answered(server, root=root, path="/items", method="PUT")[0].status == 405


def test_an_application_of_asgi_is_started_up_once(server_of: Callable[[Any], Any]) -> None:
    """What it makes then is there for each request, in the same event loop."""
    begun: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            assert (await receive())["type"] == "lifespan.startup"
            scope["state"]["loop"] = asyncio.get_running_loop()
            begun.append(threading.active_count())
            await send({"type": "lifespan.startup.complete"})
            await receive()
            raise AssertionError("It is not shut down.")
        assert scope["state"]["loop"] is asyncio.get_running_loop()
        assert scope["path"] == "/r/a1/x/y"
        name = await asyncio.to_thread(lambda: threading.current_thread().name)
        assert name != "MainThread"
        await send({"type": "http.response.start", "status": 201, "headers": [(b"a", b"b")]})
        await send({"type": "http.response.body", "body": b"1", "more_body": True})
        await send({"type": "http.response.body", "body": b"2"})

    server = server_of(app)

    for _ in range(2):
        head, body = answered(server, root="/r/a1/x", path="/y")
        assert (head.status, head.headers, body) == (201, [("a", "b")], b"12")
    (threads,) = begun
    assert threading.active_count() <= threads  # no thread outlives a request


@pytest.mark.parametrize("kind", ["lifespan.startup.failed", "raises"])
def test_an_application_that_cannot_be_started_up(
    server_of: Callable[[Any], Any], kind: str
) -> None:
    """Its reason is the error; one that has no lifespan may raise anything."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        del receive
        if scope["type"] == "lifespan":
            if kind == "raises":
                raise KeyError(scope["type"])
            await send({"type": kind, "message": "no database"})
            return
        await send({"type": "http.response.start", "status": 200})

    if kind == "raises":
        assert answered(server_of(app))[0].status == 200
        return
    with pytest.raises(RuntimeError, match="could not be started up: no database"):
        answered(server_of(app))


def test_an_application_of_wsgi_may_begin_late_and_write(server_of: Callable[[Any], Any]) -> None:
    """Headers that are repeated are joined; what it returns is closed."""
    closed: list[bool] = []

    class Parts:
        def __init__(self, start: Any) -> None:
            self.start = start

        def __iter__(self) -> Iterator[bytes]:
            write = self.start("404 Not Found", [("a", "b")])
            write(b"first, ")
            yield b"second"

        def close(self) -> None:
            closed.append(True)

    def app(environ: dict[str, Any], start_response: Any) -> Parts:
        assert environ["HTTP_X_A"] == "1,2"
        assert (environ["CONTENT_TYPE"], environ["CONTENT_LENGTH"]) == ("t/x", "3")
        assert "HTTP_CONTENT_TYPE" not in environ
        assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("localhost", "443")
        return Parts(start_response)

    headers = [["x-a", "1"], ["x-a", "2"], ["content-type", "t/x"], ["content-length", "9"]]
    head, body = answered(server_of(app), scheme="https", headers=headers, body=b"abc")

    assert (head.status, body, closed) == (404, b"first, second", [True])


def test_an_application_that_does_not_answer_is_an_error(server_of: Callable[[Any], Any]) -> None:
    """The error says what it has left out."""

    async def silent(scope: Any, receive: Any, send: Any) -> None:
        del scope, receive, send

    with pytest.raises(RuntimeError, match=r"has not sent http\.response\.start"):
        answered(server_of(silent))
    with pytest.raises(RuntimeError, match="has not called start_response"):
        answered(server_of(lambda environ, start: []))
    with pytest.raises(TypeError, match="must return an application"):
        server_of(lambda: 5)


def test_an_application_in_a_module_travels_as_the_module() -> None:
    """It is found by its name there; a function that makes one is called once in each process."""
    module = ModuleType("app_of_a_test")
    module.site = wsgi()  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module
    try:
        found = application_of(module.site)
        assert pickle.loads(cloudpickle.dumps(found))(path="/a%2Cb")
    finally:
        del sys.modules[module.__name__]
    made: list[int] = []

    def make() -> Any:
        made.append(1)
        return wsgi()

    published = PublishedApplication(make)
    for _ in range(2):
        assert response_head(published(path="/a%2Cb"))[0].status == 200
    assert made == [1]


@pytest.mark.parametrize("wrong", [5, "app", len, lambda x: x, lambda a, b, c, d: 0])
def test_what_is_not_an_application_is_refused(wrong: Any) -> None:
    """One sentence says what is."""
    with pytest.raises(TypeError, match="must be an application of WSGI or ASGI, or a function"):
        interface_of(wrong)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is not the response"),
        (b"\0\0\0\2{}", "is not the response"),
        (b"\0\0\0\5{}", "has headers of more than 64 KiB"),
        (b"\xff\xff\xff\xff{}", "has headers of more than 64 KiB"),
        (sealed_response(AppResponseHead(101, []), b""), "is not the response"),
        (sealed_response(AppResponseHead(200, [("a", "b\r\nc: d")]), b""), "that HTTP cannot"),
        (sealed_response(AppResponseHead(200, [("a\r\n", "b")]), b""), "that HTTP cannot"),
        (sealed_response(AppResponseHead(200, [("a", "\u20ac")]), b""), "that HTTP cannot"),
        (sealed_response(AppResponseHead(200, [("a", "b" * MAX_HEAD_BYTES)]), b""), "of more than"),
    ],
)
def test_a_response_that_cannot_be_sent_is_refused(data: bytes, reason: str) -> None:
    """Whatever a job returned, no header ends early and no status is one of the server's."""
    with pytest.raises(RequestRefused, match=reason):
        response_head(data)
