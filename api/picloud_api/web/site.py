"""The site: an application of its own, which a server builds when the first page is requested."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import falcon.asgi

from picloud_api.resources.audit_trail import AuditTrail
from picloud_api.resources.in_flight import RequestsInFlight
from picloud_api.web import error_page
from picloud_api.web.pages import (
    crons,
    endpoints,
    environments,
    keys,
    queues,
    sign_in,
)
from picloud_api.web.pages.costs import realtime, usage
from picloud_api.web.pages.jobs import clone, dependency, job, job_map, jobs, profile
from picloud_api.web.pages.machines import notebooks
from picloud_api.web.pages.people import audit, issuer, join, members, reset
from picloud_api.web.pages.storage import bucket, volumes
from picloud_api.web.rendering import Renderer
from picloud_api.web.static import StaticFiles
from picloud_api.web.visitor import Visitors

if TYPE_CHECKING:
    from picloud_api.usecases.use_cases import UseCases

App: TypeAlias = "falcon.asgi.App[falcon.asgi.Request, falcon.asgi.Response]"

SECURITY_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""The headers of every reply: no script, style or frame that is not a file of the site."""


PAGES: Final = (
    *(
        sign_in,
        issuer,
        join,
        reset,
        jobs,
        job_map,
        job,
        profile,
        dependency,
        clone,
        queues,
        bucket,
        volumes,
        environments,
        crons,
        endpoints,
        notebooks,
        realtime,
        keys,
        members,
        audit,
        usage,
    ),
)


class SecurityHeaders:
    """Adds the security headers; falcon calls it for each reply."""

    async def process_response(
        self, request: Any, response: Any, resource: object, succeeded: bool
    ) -> None:
        """Add the headers, and let browsers store static files only."""
        del request, resource, succeeded
        for name, value in SECURITY_HEADERS.items():
            response.set_header(name, value)
        if response.get_header("Cache-Control") is None:
            response.set_header("Cache-Control", "no-store")


class HeadRequests:
    """Serves a HEAD request as a GET request, whose body falcon then leaves out.

    A link to sign in is excepted: it is used up when it is opened.
    """

    async def process_request(self, request: Any, response: object) -> None:
        """Find the page that a GET request would."""
        del response
        if request.method == "HEAD" and not request.path.startswith("/sign-in/"):
            request.context.is_head = True
            request.method = "GET"

    async def process_response(
        self, request: Any, response: object, resource: object, succeeded: bool
    ) -> None:
        """Let falcon send the headers alone."""
        del response, resource, succeeded
        if getattr(request.context, "is_head", False):
            request.method = "HEAD"


def site(use_cases: UseCases) -> App:
    """Return the application of all pages."""
    static = StaticFiles()
    renderer = Renderer(static)
    visitors = Visitors(use_cases.accounts.sessions)
    most = use_cases.accounts.quota.quotas.requests
    app: App = falcon.asgi.App(
        middleware=[
            HeadRequests(),
            SecurityHeaders(),
            RequestsInFlight(most, use_cases.turns, AuditTrail(use_cases.operation.audit)),
        ]
    )
    app.req_options.strip_url_path_trailing_slash = True
    app.add_route("/static/{name}", static)
    app.add_route("/static/{name}/{module}", static, suffix="module")
    for page in PAGES:
        page.add_to(app, use_cases, renderer, visitors)
    error_page.register(app, renderer)
    return app
