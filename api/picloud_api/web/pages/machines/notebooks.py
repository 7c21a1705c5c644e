"""`/notebooks`: notebooks and desktops of an account, and where others type a second password."""

from __future__ import annotations

from typing import TYPE_CHECKING

import falcon
import msgspec
from picloud_model.errors import KeyRefused, PathNotFound
from picloud_model.wire import notebook as wire

from picloud_api.web.failure_delay import FailureDelay
from picloud_api.web.rendering import go_to
from picloud_api.web.visitor import check_origin, read_form, text_of

if TYPE_CHECKING:
    from falcon.asgi import App, Request, Response

    from picloud_api.usecases.use_cases import UseCases
    from picloud_api.web.rendering import Renderer
    from picloud_api.web.visitor import Visitors

_AT_ONCE_S = 1.0


class NotebooksPage:
    """The notebooks and desktops of an account."""

    def __init__(self, use_cases: UseCases, renderer: Renderer, visitors: Visitors) -> None:
        self._notebooks = use_cases.environments.notebooks
        self._machines = use_cases.jobs.machines
        self._visits = use_cases.jobs.visits
        self._renderer = renderer
        self._visitors = visitors

    async def on_get(self, request: Request, response: Response) -> None:
        """Show them."""
        visitor = await self._visitors.of(request)
        notebooks = (await self._notebooks.list(visitor.account)).notebooks
        self._renderer.show(
            response,
            "notebooks.html",
            visitor,
            notebooks=notebooks,
            has_site=self._visits.has_site,
            origin=request.forwarded_prefix,
            least=wire.LEAST_PASSWORD,
            most=wire.MOST_PASSWORD,
        )

    async def on_get_open(self, request: Request, response: Response, name: str) -> None:
        """Lead the owner into one of them."""
        visitor = await self._visitors.of(request)
        go_to(response, await self._visits.open(visitor.holder, name))

    async def on_post_verb(self, request: Request, response: Response, verb: str) -> None:
        """Start, stop or forget a machine, or change its second password."""
        visitor = await self._visitors.of(request)
        fields = await self._visitors.form(request, visitor)
        named = {
            "name": text_of(fields, "name"),
            "kind": text_of(fields, "kind") or "notebook",
        }
        if verb == "password":
            change = msgspec.convert(
                named | {"password": text_of(fields, "password")}, wire.NotebookPasswordRequest
            )
            await self._notebooks.set_password(visitor.account, change)
        elif verb == "revoke":
            revoked = msgspec.convert(named | {"password": None}, wire.NotebookPasswordRequest)
            await self._notebooks.set_password(visitor.account, revoked)
        elif verb == "start":
            started = msgspec.convert(named, wire.NotebookRequest)
            await self._machines.start(visitor.account, started.name, started.kind)
        elif verb == "stop":
            stopped = msgspec.convert(named, wire.NotebookRequest)
            await self._machines.stop(visitor.account, stopped.name, stopped.kind)
        elif verb == "delete":
            deleted = msgspec.convert(named, wire.DeleteNotebookRequest)
            await self._notebooks.delete(visitor.account, deleted.name, deleted.kind)
        else:
            raise PathNotFound
        go_to(response, "/notebooks")


class SharedNotebookPage:
    """Lets others into a notebook or desktop, with its second password."""

    def __init__(self, use_cases: UseCases, renderer: Renderer) -> None:
        self._visits = use_cases.jobs.visits
        self._renderer = renderer
        self._delay = FailureDelay()

    def _show(self, response: Response, message: str = "") -> None:
        self._renderer.show(response, "shared_notebook.html", None, message=message)

    async def on_get(self, request: Request, response: Response, label: str) -> None:
        """Ask for the password; the page is the same one where there is none."""
        del request, label
        self._show(response)

    async def on_post(self, request: Request, response: Response, label: str) -> None:
        """Check the password, and lead there.

        The pages may not be left by a form, so the reply is a page that goes on by itself.
        """
        check_origin(request)
        password = text_of(await read_form(request), "password")
        visitor = f"{request.remote_addr} {label}"
        try:
            async with self._delay.attempt(visitor):
                address = await self._visits.open_shared(label, password[: wire.MOST_PASSWORD])
        except KeyRefused:
            response.status = falcon.HTTP_401
            wait_s = self._delay.next_s(visitor)
            later = f" The next attempt takes {wait_s:.1f} s." if wait_s >= _AT_ONCE_S else ""
            self._show(response, f"This is not the password.{later}")
            return
        response.set_header("Refresh", f"0; url={address}")
        self._renderer.show(response, "opening_notebook.html", None, address=address)


def add_to(
    app: App[Request, Response], use_cases: UseCases, renderer: Renderer, visitors: Visitors
) -> None:
    """Add the pages to the application."""
    page = NotebooksPage(use_cases, renderer, visitors)
    app.add_route("/notebooks", page)
    app.add_route("/notebooks/open/{name}", page, suffix="open")
    app.add_route("/notebooks/{verb}", page, suffix="verb")
    app.add_route("/notebooks/shared/{label}", SharedNotebookPage(use_cases, renderer))
