"""The application: its start and stop, and what it reports when it is ready."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Any

from picloud_api.app import Application
from picloud_api.settings import read
from picloud_model import wire
from structlog.testing import capture_logs

if TYPE_CHECKING:
    from pathlib import Path


class AsgiServer:
    """Calls an application as an ASGI server does, without sockets."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._replies: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}}
        self._life = asyncio.create_task(application(scope, self._events.get, self._replies.put))

    async def tell(self, event: str) -> str:
        """Send `startup` or `shutdown`; return the type of the reply."""
        await self._events.put({"type": f"lifespan.{event}"})
        return str((await asyncio.wait_for(self._replies.get(), 20))["type"])

    async def get(self, path: str, http_version: str = "1.1") -> tuple[int, bytes]:
        """Send a GET request; return the status and the body of the reply."""
        scope = {
            "type": "http", "http_version": http_version, "method": "GET", "path": path,
            "raw_path": path.encode(), "query_string": b"", "headers": [], "scheme": "http",
            "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 1), "root_path": "",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
        }  # fmt: skip
        events: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(event: dict[str, Any]) -> None:
            events.append(event)

        await self._application(scope, receive, send)
        body = b"".join(event.get("body", b"") for event in events[1:])
        return int(events[0]["status"]), body


async def test_a_server_starts_serves_and_stops(tmp_path: Path) -> None:
    """When it is ready, it writes its URL, key and data directory to the ready descriptor.

    The log has its start, its end and each request that failed, but none that succeeded.
    """
    reader, writer = os.pipe()
    arguments = ["--data", str(tmp_path), "--slots", "1", "--ready-fd", str(writer)]
    server = AsgiServer(Application(read(arguments, {}), "http://127.0.0.1:8787"))

    with capture_logs() as logged:
        assert await server.tell("startup") == "lifespan.startup.complete"
        ready = json.loads(os.read(reader, 65536))
        status, body = await server.get("/v1/health")
        old = await server.get("/v1/health", http_version="0.9")
        missing, _ = await server.get("/v1/missing")
        assert await server.tell("shutdown") == "lifespan.shutdown.complete"

    os.close(reader)
    assert (ready["url"], ready["data"]) == ("http://127.0.0.1:8787", str(tmp_path))
    assert ready["key"].startswith("pk_")
    assert (status, wire.decode(body, wire.Health, wire.JSON).healthy) == (200, True)
    assert old == (505, b"")
    assert missing == 404
    assert [each["event"] for each in logged] == [
        "server.ready",
        "request.refused",
        "server.stopped",
    ]
    assert (logged[0]["url"], logged[0]["slots"]) == (ready["url"], 1)
    assert (logged[1]["address"], logged[1]["status"]) == ("unknown", 404)
