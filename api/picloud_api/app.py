"""The application: the routes of a server, and its start and stop."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import falcon.asgi
import structlog
from picloud_model.errors import PiCloudError, Unavailable

from picloud_api import errors, wiring
from picloud_api.resources.audit_trail import AuditTrail
from picloud_api.resources.hang_up import RECEIVE
from picloud_api.resources.health import HealthResource
from picloud_api.resources.in_flight import RequestsInFlight
from picloud_api.resources.openapi import SERVED
from picloud_api.resources.published_site import PUBLISHED, address_elsewhere, is_at_site

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from picloud_api.settings import ServerSettings
    from picloud_api.usecases.use_cases import UseCases


App: TypeAlias = "falcon.asgi.App[falcon.asgi.Request, falcon.asgi.Response]"

RETRY_S: Final = 1.0
"""How often a start is tried again that lacked a service."""

PAGES: Final = frozenset(
    {
        "", "audit", "bucket", "crons", "endpoints", "environments", "jobs", "join", "keys", "maps",
        "members", "notebooks", "queues", "realtime", "reset", "sign-in", "sign-out", "static",
        "usage", "volumes",
    }
)  # fmt: skip
"""What the paths of web pages begin with; other paths are operations."""

_log = structlog.get_logger()

_TOO_OLD: Final = "0.9"
"""The version of a request that names none; falcon cannot answer it."""


class Lifetime:
    """Builds the server when the event loop starts and closes it when the loop ends."""

    def __init__(self, app: App, settings: ServerSettings, url: str) -> None:
        self._app = app
        self._settings = settings
        self._url = url
        self._ports: wiring.Ports | None = None
        self._server: wiring.Server | None = None
        self._retrying: asyncio.Task[None] | None = None
        self.waiting: WaitingServer | None = None
        """What serves while a service is away that the server needs in order to start."""

    async def process_startup(self, scope: Mapping[str, Any], event: Mapping[str, Any]) -> None:
        """Open the ports, read unfinished batches, and report that the server is ready.

        A process over services of its own, such as Consul, waits for those that are away.
        """
        del scope, event
        self._ports = ports = await wiring.open_ports(self._settings, self._url)
        try:
            await self._start(ports)
        except PiCloudError as error:
            if not ports.state.shared:
                raise
            self.waiting = WaitingServer(ports, error.message)
            self._retrying = asyncio.create_task(self._retry(ports, self.waiting))

    async def _start(self, ports: wiring.Ports) -> None:
        server = await wiring.build(ports, self._settings)
        try:
            await server.background.start()
        except BaseException:
            await server.background.stop()
            raise
        self._server = server
        add_routes(self._app, server.use_cases)
        self.waiting = None
        _log.info(
            "server.ready",
            url=self._url,
            data=str(self._settings.data),
            slots=self._settings.slots,
            processes=self._settings.processes,
            pid=os.getpid(),
        )
        _report_ready(self._settings, self._url, server.key)

    @property
    def use_cases(self) -> UseCases:
        """The use cases of the started server."""
        if self._server is None:
            raise Unavailable("The server has not started yet.")
        return self._server.use_cases

    async def _retry(self, ports: wiring.Ports, waiting: WaitingServer) -> None:
        while self._server is None:
            _log.warning("start.waits", reason=waiting.reason)
            await asyncio.sleep(RETRY_S)
            try:
                await self._start(ports)
            except PiCloudError as error:
                waiting.reason = error.message
            except Exception:  # noqa: BLE001 - without a server every request would wait forever
                _log.exception("start.failed")

    def answer_waiting(self) -> None:
        """Answer every long poll now, so that the server can stop at once."""
        if self._server is not None:
            self._server.context.batch_watchers.close()
            self._server.context.slot_sessions.close()
            self._server.use_cases.queues.queues.stop_waiting()

    async def process_shutdown(self, scope: Mapping[str, Any], event: Mapping[str, Any]) -> None:
        """Stop the slots, if no other process serves this stack, and close the ports."""
        del scope, event
        if self._retrying is not None:
            self._retrying.cancel()
            await asyncio.gather(self._retrying, return_exceptions=True)
        ports = self._ports
        if ports is None:
            return
        if self._server is not None:
            await self._server.background.stop()
            await self._server.use_cases.jobs.kill.stop()
            await self._server.use_cases.jobs.public_ports.stop()
            await self._server.live.stop()
            if not ports.state.shared:
                await wiring.stop_slots(ports.scheduler)
            _log.info("server.stopped", url=self._url, pid=os.getpid())
        for port in (
            ports.identity,
            ports.traces,
            ports.gateway,
            ports.images,
            ports.scheduler,
            ports.queues,
            ports.buckets,
            ports.blobs,
            ports.secrets,
            ports.state,
        ):
            await port.close()


class WaitingServer:
    """Serves while a service is away: the health of each, and errors that ask to come again."""

    def __init__(self, ports: wiring.Ports, reason: str) -> None:
        self.reason = reason
        self.health = wiring.health_check(ports)
        self.app: App = falcon.asgi.App()
        errors.register(self.app)
        self.app.add_route("/v1/health", HealthResource(self))
        self.app.add_sink(self._refuse)

    async def _refuse(self, req: Any, resp: Any, **_: str) -> None:
        del req, resp
        raise Unavailable(f"The server waits for what it needs to start: {self.reason}")


class Application:
    """The ASGI application of a server whose address is `url`."""

    def __init__(self, settings: ServerSettings, url: str) -> None:
        self._app: App = falcon.asgi.App()
        errors.register(self._app)
        self._lifetime = Lifetime(self._app, settings, url)
        self._app.add_middleware(self._lifetime)
        self._site: App | None = None
        self._published = settings.published_site

    def __call__(self, scope: Any, receive: Any, send: Any) -> Coroutine[Any, Any, None]:
        """Serve one request, or the start and stop of the server."""
        if scope.get("http_version") == _TOO_OLD:
            return _reply(send, 505, connection="close")
        if self._lifetime.waiting is not None and scope["type"] == "http":
            return self._lifetime.waiting.app(scope, receive, send)
        if scope["type"] == "http":
            first = scope["path"].lstrip("/").partition("/")[0]
            if first in PAGES:
                if is_at_site(scope, self._published):
                    return _reply(send, 404)
                return self._pages()(scope, receive, send)
            if first in PUBLISHED and (address := address_elsewhere(scope, self._published)):
                return _reply(send, 307, location=address)
        scope[RECEIVE] = receive
        return self._app(scope, receive, send)

    def _pages(self) -> App:
        """Return the application of the web pages, which the first request for one builds."""
        if self._site is None:
            # Until a page is opened, a server does without the memory that templates take.
            from picloud_api.web.site import site  # noqa: PLC0415

            self._site = site(self._lifetime.use_cases)
        return self._site

    def answer_waiting(self) -> None:
        """Answer every long poll, because the server is about to stop."""
        self._lifetime.answer_waiting()


async def _reply(send: Any, status: int, **headers: str) -> None:
    """Reply without a body; browsers keep no such reply."""
    pairs = {"cache-control": "no-store", **headers}.items()
    lines = [(name.encode(), text.encode("latin-1")) for name, text in pairs]
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": b""})


def add_routes(app: App, use_cases: UseCases) -> None:
    """Add every route of the table; one instance of a resource serves all of its addresses."""
    # Programs for the original PiCloud write its addresses with a slash at the end and without.
    app.req_options.strip_url_path_trailing_slash = True
    most = use_cases.accounts.quota.quotas.requests
    trail = AuditTrail(use_cases.operation.audit)
    app.add_middleware(RequestsInFlight(most, use_cases.turns, trail))
    resources: dict[type, Any] = {}
    for route in SERVED:
        if route.resource not in resources:
            resources[route.resource] = route.resource(use_cases)
    for address, route in {route.address: route for route in SERVED}.items():
        # The key of an object may have slashes, and so may an address of an application.
        template = address.replace("{key}", "{key:path}").replace("{path}", "{path:path}")
        app.add_route(template, resources[route.resource], suffix=route.suffix or None)


def _report_ready(settings: ServerSettings, url: str, key: str) -> None:
    if settings.ready_fd < 0:
        return
    line = json.dumps({"url": url, "key": key, "data": str(settings.data)}) + "\n"
    # Gunicorn's master keeps the descriptor, too: a worker that it starts later finds no reader.
    with suppress(OSError):
        os.write(settings.ready_fd, line.encode())
        os.close(settings.ready_fd)
