"""`cloud.rest.publish_app`: applications of WSGI and ASGI below the URL of an endpoint."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import cloud
import pytest
import urllib3
from cloud import CloudException, rest

from tests.current_client import current_client

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloud._client.client import Client

    from tests.e2e.command_line import Exited

SIZE = 6 * 2**20


def shop() -> Any:
    """Return an application of Falcon for ASGI, as a user writes it."""
    import falcon.asgi

    class Item:
        def __init__(self) -> None:
            self.items: dict[str, Any] = {}

        async def on_get(self, request: Any, response: Any, name: str) -> None:
            response.media = {"name": name, "seen": len(self.items), "tax": request.params["tax"]}
            self.items[name] = True

        async def on_put(self, request: Any, response: Any, name: str) -> None:
            response.data = name.encode() + await request.stream.read()
            response.status = 201

        async def on_get_large(self, request: Any, response: Any) -> None:
            response.content_type = "video/x"
            response.data = b"x" * SIZE

        on_head_large = on_get_large

        async def on_get_broken(self, request: Any, response: Any) -> None:
            raise falcon.HTTPForbidden

    app, item = falcon.asgi.App(), Item()
    app.add_route("/jobs/{name}", item)
    app.add_route("/large", item, suffix="large")
    app.add_route("/broken", item, suffix="broken")
    return app


def of_flask() -> Any:
    """Return an application of Flask, as a user writes it."""
    import flask

    app = flask.Flask("of_flask")

    @app.get("/items/<name>")
    def item(name: str) -> dict[str, str]:
        return {"name": name, "next": flask.url_for("item", name="b")}

    return app


def of_starlette() -> Any:
    """Return an application of Starlette, as a user writes it."""
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    async def item(request: Any) -> Any:
        following = request.url_for("item", name="b").path
        return JSONResponse({"name": request.path_params["name"], "next": following})

    return Starlette(routes=[Route("/items/{name}", item)])


def plain(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Answer as an application of WSGI: what it was asked."""
    if environ["PATH_INFO"] == "/raise":
        raise ValueError("what only the owner may see")
    start_response("200 OK", [("Content-Type", "application/json"), ("Set-Cookie", "a=b; Path=/")])
    names = ("REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "HTTP_AUTHORIZATION")
    return [json.dumps({name: environ.get(name) for name in names}).encode()]


class Caller:
    """Sends requests as a program does that has a key."""

    def __init__(self, client: Client) -> None:
        _, name, secret = client.address.key.split("_", 2)
        pair = base64.b64encode(f"{name}:{secret}".encode()).decode()
        self._headers = {"Authorization": f"Basic {pair}"}
        self._pool = urllib3.PoolManager(timeout=60.0, retries=False)

    def __call__(self, verb: str, url: str, **more: Any) -> Any:
        headers = {**self._headers, **more.pop("headers", {})}
        return self._pool.request(verb, url, headers=headers, **more)


@pytest.fixture
def send(client: Client) -> Caller:
    """What sends requests, once a slot is warm: they are answered within 30 s then."""
    client.result(client.call(abs, 1), 120)
    return Caller(client)


def test_an_application_answers_below_its_url(client: Client, send: Caller) -> None:
    """In an interpreter that keeps it; also at addresses that a function has for itself."""
    with current_client(client):
        url = rest.publish_app(shop, "shop", _label="shop-requests")

    seen = [send("GET", f"{url}/jobs/5?tax=3").json() for _ in range(6)]

    assert {each["name"] for each in seen} == {"5"}
    assert {each["tax"] for each in seen} == {"3"}
    assert max(each["seen"] for each in seen) == 1  # it was made before the request
    reply = send("PUT", f"{url}/jobs/7", body=b"-" * 300_000)
    assert (reply.status, reply.data) == (201, b"7" + b"-" * 300_000)
    assert (send("GET", url).status, send("GET", f"{url}/broken").status) == (404, 403)
    reply = send("GET", f"{url}/large")
    assert (reply.status, reply.headers["Content-Type"]) == (200, "video/x")
    assert (reply.headers["Content-Length"], reply.data) == (str(SIZE), b"x" * SIZE)
    reply = send("HEAD", f"{url}/large")
    assert (reply.status, reply.headers["Content-Type"], reply.data) == (200, "video/x", b"")
    assert reply.headers["Content-Length"] == str(SIZE)
    with current_client(client):
        assert cloud.jobs(label="shop-requests")
        rest.remove("shop")
    assert send("GET", f"{url}/jobs/5?tax=3").status == 404


@pytest.mark.parametrize("make", [of_flask, of_starlette])
def test_applications_of_frameworks(client: Client, send: Caller, make: Callable[[], Any]) -> None:
    """They travel as functions that make them, and know the URL that they are below of."""
    with current_client(client):
        url = rest.publish_app(make, "framework")

        reply = send("GET", f"{url}/items/a%20b")

        following = f"{url.removeprefix(client.address.url)}/items/b"
        assert (reply.status, reply.json()) == (200, {"name": "a b", "next": following})
        assert send("GET", f"{url}/missing").status == 404
        rest.remove("framework")


def test_an_application_has_versions_and_is_listed(
    client: Client, send: Caller, picloud: Callable[..., Exited]
) -> None:
    """A version is called below `/v/N`; the next publication and a rollback switch at once."""
    with current_client(client):
        url = rest.publish_app(plain, "site")
        reply = send("GET", f"{url}/v/1/x%20y?a=%20")
        assert reply.json() == {
            "REQUEST_METHOD": "GET",
            "SCRIPT_NAME": f"{url.removeprefix(client.address.url)}/v/1",
            "PATH_INFO": "/x y",
            "QUERY_STRING": "a=%20",
            "HTTP_AUTHORIZATION": None,
        }
        reply = send("HEAD", f"{url}/x")
        assert (reply.status, reply.data) == (200, b"")
        assert int(reply.headers["Content-Length"]) > 100
        assert send("OPTIONS", f"{url}/x").headers["Allow"] == "GET, POST, OPTIONS"
        rest.publish_app(shop, "site")
        assert send("GET", f"{url}/large").status == 200
        assert send("GET", f"{url}/v/1/openapi").json()["PATH_INFO"] == "/openapi"
        assert rest.rollback("site") == 1
        assert send("DELETE", f"{url}/openapi").json()["REQUEST_METHOD"] == "DELETE"
        known = rest.info("site")
        assert (known["out_encoding"], known["parameters"], known["version"]) == ("app", {}, 1)
        assert known["function"] == "tests.e2e.test_application.plain"
        listed = [row.split("\t")[0] for row in picloud("rest", "list").out.splitlines()]
        assert "site" in listed
        assert "out_encoding\tapp\n" in picloud("rest", "info", "site").out
        reply = send("GET", f"{url}/raise")
        assert (reply.status, reply.json()["code"]) == (500, "endpoint.job_failed")
        assert "ValueError: what only the owner may see" in reply.json()["message"]
        rest.remove("site")


def test_what_is_not_an_application_is_not_published(client: Client, send: Caller) -> None:
    """One sentence says what to publish; a function has no addresses below its own."""
    with current_client(client):
        with pytest.raises(TypeError, match="must be an application of WSGI or ASGI"):
            rest.publish_app(len, "wrong")
        with pytest.raises(CloudException, match="out_encoding must be 'json', 'raw' or 'pickle'"):
            rest.publish(len, "wrong", "app")
        url = rest.publish_app(lambda: 5, "wrong")  # type: ignore[arg-type, return-value]
        message = send("GET", url).json()["message"]
        assert "must return an application of WSGI or ASGI, not 5" in message
        url = rest.publish(lambda: "a function", "wrong")
        assert send("PUT", url).status == 405
        for verb in ("GET", "POST", "PUT"):
            assert send(verb, f"{url}/below").status == 404
        rest.remove("wrong")
