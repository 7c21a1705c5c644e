"""`/v1/health`: whether the server works."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import falcon
from picloud_model.wire import Health

from picloud_api.resources.body import write_body
from picloud_api.resources.route import Credential, Route

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from picloud_api.usecases.operation.health import HealthCheck


class HasHealth(Protocol):
    """The part of the use cases that this needs, which is there even while the server starts."""

    health: HealthCheck


class HealthResource:
    """Open to all: it names adapters and holds no data."""

    def __init__(self, use_cases: HasHealth) -> None:
        self._health = use_cases.health

    async def on_get(self, request: Request, response: Response) -> None:
        """Ping every port."""
        health = await self._health.check()
        await write_body(request, response, health)
        response.status = falcon.HTTP_200 if health.healthy else falcon.HTTP_503


ROUTES: Final = (
    Route(
        verb="GET",
        address="/v1/health",
        resource=HealthResource,
        answer=Health,
        credential=Credential.NONE,
        summary="Ping every port of the server.",
    ),
)
