"""`/metrics`: numbers about the server, for Prometheus; for administrators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_api.resources.body import authenticate, reauthenticate, set_account
from picloud_api.resources.route import Credential, Route

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from picloud_api.usecases.use_cases import UseCases

_TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"


class MetricsResource:
    """Numbers about all accounts together."""

    def __init__(self, use_cases: UseCases) -> None:
        self._accounts = use_cases.accounts.accounts
        self._metrics = use_cases.operation.metrics

    async def on_get(self, request: Request, response: Response) -> None:
        """Return all metrics."""
        holder = await authenticate(request, self._accounts.holder)
        set_account(request, holder.account)
        text = await self._metrics.text(holder)
        await reauthenticate(request)
        response.content_type = _TEXT
        response.text = text


ROUTES: Final = (
    Route(
        verb="GET",
        address="/metrics",
        resource=MetricsResource,
        answer=str,
        credential=Credential.KEY,
        summary="Return numbers about the server in the text format of Prometheus.",
    ),
)
