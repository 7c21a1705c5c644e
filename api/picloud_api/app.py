"""The application: routes over a server, and its life from start to stop."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import falcon.asgi

from picloud_api import errors, wiring
from picloud_api.resources.blob import BlobResource
from picloud_api.resources.health import HealthResource
from picloud_api.resources.info import InfoResource
from picloud_api.resources.job import JobResource
from picloud_api.resources.key import AccountResource, KeyResource
from picloud_api.resources.openapi import OpenApiResource
from picloud_api.resources.slot import SlotResource

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from picloud_api.settings import Settings


App: TypeAlias = "falcon.asgi.App[falcon.asgi.Request, falcon.asgi.Response]"

_TOO_OLD: Final = "0.9"
"""What a request without a version is taken for; falcon raises an error of its own at it."""


class Lifetime:
    """Builds the server when the event loop runs and takes it down when it ends."""

    def __init__(self, app: App, settings: Settings, url: str) -> None:
        self._app = app
        self._settings = settings
        self._url = url
        self._server: wiring.Server | None = None

    async def process_startup(self, scope: Mapping[str, Any], event: Mapping[str, Any]) -> None:
        """Open the ports, read what is unfinished, then tell whoever waits that we are ready."""
        del scope, event
        ports = await wiring.open_ports(self._settings, self._url)
        self._server = await wiring.build(ports, self._settings)
        add_routes(self._app, self._server)
        await self._server.reconcile.start()
        _tell_ready(self._settings, self._url, self._server.key)

    def answer_waiting(self) -> None:
        """Answer every long poll with what there is, so that the server can stop at once."""
        if self._server is not None:
            self._server.context.batch_watchers.close()
            self._server.context.slot_sessions.close()

    async def process_shutdown(self, scope: Mapping[str, Any], event: Mapping[str, Any]) -> None:
        """Stop the slots where they are this process's alone, then give everything back."""
        del scope, event
        if self._server is None:
            return
        await self._server.reconcile.stop()
        await self._server.jobs.stop()
        await self._server.live.stop()
        ports = self._server.ports
        if not ports.state.shared:
            await wiring.stop_slots(ports.scheduler)
        for port in (ports.scheduler, ports.blobs, ports.secrets, ports.state):
            await port.close()


class Application:
    """The ASGI application of a server that will be reached at `url`."""

    def __init__(self, settings: Settings, url: str) -> None:
        self._app: App = falcon.asgi.App()
        errors.register(self._app)
        self._lifetime = Lifetime(self._app, settings, url)
        self._app.add_middleware(self._lifetime)

    def __call__(self, scope: Any, receive: Any, send: Any) -> Coroutine[Any, Any, None]:
        """Serve one request or the life cycle."""
        if scope.get("http_version") == _TOO_OLD:
            return _refuse_version(send)
        return self._app(scope, receive, send)

    def answer_waiting(self) -> None:
        """Answer every long poll: the server is about to stop."""
        self._lifetime.answer_waiting()


async def _refuse_version(send: Any) -> None:
    await send(
        {"type": "http.response.start", "status": 505, "headers": [(b"connection", b"close")]}
    )
    await send({"type": "http.response.body", "body": b""})


def add_routes(app: App, server: wiring.Server) -> None:
    """Every address of the interface."""
    jobs = JobResource(server.accounts, server.submit, server.jobs)
    infos = InfoResource(server.accounts, server.information, server.listing, server.deletion)
    blobs = BlobResource(server.accounts, server.slots, server.blobs)
    slots = SlotResource(server.slots, server.work)
    app.add_route("/v1/health", HealthResource(server.health))
    app.add_route("/v1/jobs", jobs)
    for verb in ("staged", "status", "wait", "kill"):
        app.add_route(f"/v1/jobs/{verb}", jobs, suffix=verb)
    app.add_route("/v1/jobs/info", infos)
    for verb in ("list", "delete"):
        app.add_route(f"/v1/jobs/{verb}", infos, suffix=verb)
    app.add_route("/v1/blobs", blobs)
    for verb in ("missing", "read"):
        app.add_route(f"/v1/blobs/{verb}", blobs, suffix=verb)
    app.add_route("/v1/blobs/{digest}", blobs, suffix="one")
    keys = KeyResource(server.accounts, server.keys)
    app.add_route("/v1/keys", keys)
    for verb in ("list", "activate", "deactivate"):
        app.add_route(f"/v1/keys/{verb}", keys, suffix=verb)
    accounts = AccountResource(server.accounts, server.keys)
    app.add_route("/v1/accounts", accounts)
    app.add_route("/v1/accounts/list", accounts, suffix="list")
    app.add_route("/v1/slots", slots)
    app.add_route("/v1/work", slots, suffix="work")
    app.add_route("/v1/heartbeat", slots, suffix="heartbeat")
    app.add_route("/v1/openapi.json", OpenApiResource(app, version("picloud")))


def _tell_ready(settings: Settings, url: str, key: str) -> None:
    if settings.ready_fd < 0:
        return
    line = json.dumps({"url": url, "key": key, "data": str(settings.data)}) + "\n"
    # Gunicorn's master keeps the descriptor too, so a worker it starts later finds nobody there.
    with suppress(OSError):
        os.write(settings.ready_fd, line.encode())
        os.close(settings.ready_fd)
