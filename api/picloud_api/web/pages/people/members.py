"""`/members`: who may use an account, invitations to it, and the visitor's own accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from picloud_model.errors import KeyRefused, RequestRefused
from picloud_model.wire import member as wire
from picloud_model.wire.role import Role

from picloud_api.web.failure_delay import FailureDelay
from picloud_api.web.rendering import go_to
from picloud_api.web.visitor import sign_out, text_of

if TYPE_CHECKING:
    from falcon.asgi import App, Request, Response

    from picloud_api.usecases.use_cases import UseCases
    from picloud_api.web.rendering import Renderer
    from picloud_api.web.visitor import Visitor, Visitors

_DESCRIBED = {
    Role.OWNER: "may do everything, also invite others and set budgets",
    Role.MEMBER: "may run jobs and change what the account has",
    Role.READER: "may read, and change nothing",
}


class MembersPage:
    """The members of an account, for all of them; owners change them."""

    def __init__(self, use_cases: UseCases, renderer: Renderer, visitors: Visitors) -> None:
        self._members = use_cases.accounts.members
        self._invites = use_cases.accounts.invites
        self._people = use_cases.accounts.people
        self._renderer = renderer
        self._visitors = visitors
        self._delay = FailureDelay()

    async def _show(self, response: Response, visitor: Visitor, path: str = "") -> None:
        holder = visitor.holder
        is_owner = holder.role is Role.OWNER
        values = {
            "members": (await self._members.list(holder)).members,
            "invites": (await self._invites.list(holder)).invites if is_owner else [],
            "memberships": await self._members.memberships(holder),
            "is_owner": is_owner,
            "roles": _DESCRIBED,
            "path": path,
        }
        self._renderer.show(response, "members.html", visitor, **values)

    async def _form(self, request: Request) -> tuple[Visitor, dict[str, str]]:
        visitor = await self._visitors.of(request)
        fields = await self._visitors.form(request, visitor)
        return visitor, {name: text_of(fields, name) for name in fields}

    async def on_get(self, request: Request, response: Response) -> None:
        """Show the members."""
        await self._show(response, await self._visitors.of(request))

    async def on_post_invite(self, request: Request, response: Response) -> None:
        """Make an invitation, whose link is shown now only."""
        visitor, fields = await self._form(request)
        body = msgspec.convert({"role": fields.get("role", "")}, wire.InviteRequest)
        made = await self._invites.create(visitor.holder, body.role)
        await self._show(response, visitor, f"{request.forwarded_prefix}{made.path}")

    async def on_post_revoke(self, request: Request, response: Response) -> None:
        """Revoke an invitation."""
        visitor, fields = await self._form(request)
        body = msgspec.convert({"id": fields.get("id", "")}, wire.RevokeInviteRequest)
        await self._invites.revoke(visitor.holder, body.id)
        go_to(response, "/members")

    async def on_post_change(self, request: Request, response: Response) -> None:
        """Give a member another role."""
        visitor, fields = await self._form(request)
        values = {"name": fields.get("name", ""), "role": fields.get("role", "")}
        body = msgspec.convert(values, wire.ChangeMemberRequest)
        await self._members.change_role(visitor.holder, body.name, body.role)
        go_to(response, "/members")

    async def on_post_remove(self, request: Request, response: Response) -> None:
        """Remove a member."""
        visitor, fields = await self._form(request)
        body = msgspec.convert({"name": fields.get("name", "")}, wire.RemoveMemberRequest)
        await self._members.remove(visitor.holder, body.name)
        go_to(response, "/members")

    async def on_post_switch(self, request: Request, response: Response) -> None:
        """Act for another account from now on."""
        visitor, fields = await self._form(request)
        session = await self._members.switch(visitor.holder, fields.get("account", ""))
        await self._visitors.sign_in(request, response, session)
        go_to(response, "/jobs")

    async def on_post_password(self, request: Request, response: Response) -> None:
        """Change the visitor's password, and sign the visitor out in all browsers."""
        visitor, fields = await self._form(request)
        old, new = fields.get("old", ""), fields.get("new", "")
        try:
            async with self._delay.attempt(visitor.holder.key):
                await self._people.change_password(visitor.holder, old, new)
        except KeyRefused as error:
            raise RequestRefused(error.message) from None  # the session has not ended
        sign_out(request, response)
        go_to(response, "/sign-in")


def add_to(
    app: App[Request, Response], use_cases: UseCases, renderer: Renderer, visitors: Visitors
) -> None:
    """Add the page to the application."""
    page = MembersPage(use_cases, renderer, visitors)
    app.add_route("/members", page)
    for verb in ("invite", "revoke", "change", "remove", "switch", "password"):
        app.add_route(f"/members/{verb}", page, suffix=verb)
