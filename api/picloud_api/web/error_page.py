"""Errors as pages: the table of `picloud_api.errors`, shown to people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import falcon
import msgspec
import structlog
from picloud_model.errors import (
    AccountBusy,
    KeyRefused,
    PathNotFound,
    PiCloudError,
    RequestRefused,
    ServerFault,
    Unavailable,
)

from picloud_api.errors import refusal, status_of

if TYPE_CHECKING:
    from falcon.asgi import App, Request, Response

    from picloud_api.web.rendering import Renderer

_log = structlog.get_logger()


class ErrorPages:
    """Replies with a page that says what is wrong."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer

    def show(self, request: Request, response: Response, error: PiCloudError) -> None:
        """Reply with an error; a page that updates itself goes to the sign-in page instead."""
        request.context.refused = error.code
        response.status = status = status_of(error)
        address = request.uri_template or "unknown"
        _log.info(
            "page.refused",
            method=request.method,
            address=address,
            status=status,
            code=error.code,
            reason=error.message,
        )
        if isinstance(error, Unavailable | AccountBusy):
            response.set_header("Retry-After", "1")
        is_signed_out = isinstance(error, KeyRefused)
        if is_signed_out and request.get_header("HX-Request"):
            response.set_header("HX-Redirect", "/sign-in")
        values = {"message": error.message, "status": status, "is_signed_out": is_signed_out}
        self._renderer.show(response, "error.html", None, **values)

    async def ours(
        self, request: Request, response: Response, error: PiCloudError, _: object
    ) -> None:
        """Reply with an error of the tree."""
        self.show(request, response, error)

    async def invalid(
        self, request: Request, response: Response, error: msgspec.ValidationError, _: object
    ) -> None:
        """Reply that a field of a form is not as it must be."""
        self.show(request, response, refusal(error))

    async def http(
        self, request: Request, response: Response, error: falcon.HTTPError, _: object
    ) -> None:
        """Reply with an error of falcon: an unknown path or method."""
        if isinstance(error, falcon.HTTPNotFound):
            self.show(request, response, PathNotFound())
            return
        self.show(request, response, RequestRefused(f"{error.title or 'Refused'}."))
        response.status = error.status

    async def unexpected(
        self, request: Request, response: Response, error: Exception, _: object
    ) -> None:
        """Log a fault of the server; the page does not name it."""
        address = request.uri_template or "unknown"
        _log.error("page.failed", method=request.method, address=address, exc_info=error)
        self.show(request, response, ServerFault())


def register(app: App[Request, Response], renderer: Renderer) -> None:
    """Have the application of the pages reply with pages to every error."""
    pages = ErrorPages(renderer)
    app.add_error_handler(Exception, pages.unexpected)
    app.add_error_handler(falcon.HTTPError, pages.http)
    app.add_error_handler(msgspec.ValidationError, pages.invalid)
    app.add_error_handler(PiCloudError, pages.ours)
