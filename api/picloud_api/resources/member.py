"""`/v1/members`, `/v1/invites`: people who are members of an account; not for jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_model.wire import Answer
from picloud_model.wire import member as wire

from picloud_api.resources.body import authenticate, read_body, set_account, write_body
from picloud_api.resources.route import Credential, post

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from picloud_api.usecases.accounts.account import Holder
    from picloud_api.usecases.use_cases import UseCases


class MemberResource:
    """The members of the account whose key a request sends."""

    def __init__(self, use_cases: UseCases) -> None:
        self._accounts = use_cases.accounts.accounts
        self._members = use_cases.accounts.members

    async def _holder(self, request: Request) -> Holder:
        holder = await authenticate(request, self._accounts.holder)
        set_account(request, holder)
        return holder

    async def on_post_list(self, request: Request, response: Response) -> None:
        """List members."""
        holder = await self._holder(request)
        await read_body(request, wire.MembersRequest)
        await write_body(request, response, await self._members.list(holder))

    async def on_post_change(self, request: Request, response: Response) -> None:
        """Give a member another role."""
        holder = await self._holder(request)
        body = await read_body(request, wire.ChangeMemberRequest)
        await self._members.change_role(holder, body.name, body.role)
        await write_body(request, response, Answer())

    async def on_post_remove(self, request: Request, response: Response) -> None:
        """Remove a member."""
        holder = await self._holder(request)
        body = await read_body(request, wire.RemoveMemberRequest)
        await self._members.remove(holder, body.name)
        await write_body(request, response, Answer())


class InviteResource:
    """The invitations of the account whose key a request sends."""

    def __init__(self, use_cases: UseCases) -> None:
        self._accounts = use_cases.accounts.accounts
        self._invites = use_cases.accounts.invites

    async def _holder(self, request: Request) -> Holder:
        holder = await authenticate(request, self._accounts.holder)
        set_account(request, holder)
        return holder

    async def on_post(self, request: Request, response: Response) -> None:
        """Make an invitation."""
        holder = await self._holder(request)
        body = await read_body(request, wire.InviteRequest)
        await write_body(request, response, await self._invites.create(holder, body.role))

    async def on_post_list(self, request: Request, response: Response) -> None:
        """List invitations."""
        holder = await self._holder(request)
        await read_body(request, wire.InvitesRequest)
        await write_body(request, response, await self._invites.list(holder))

    async def on_post_revoke(self, request: Request, response: Response) -> None:
        """Revoke an invitation."""
        holder = await self._holder(request)
        body = await read_body(request, wire.RevokeInviteRequest)
        await self._invites.revoke(holder, body.id)
        await write_body(request, response, Answer())


_KEY: Final = Credential.KEY
ROUTES: Final = (
    post("/v1/members/list", MemberResource, wire.MembersRequest, wire.MembersListed, _KEY),
    post("/v1/members/change", MemberResource, wire.ChangeMemberRequest, Answer, _KEY),
    post("/v1/members/remove", MemberResource, wire.RemoveMemberRequest, Answer, _KEY),
    post("/v1/invites", InviteResource, wire.InviteRequest, wire.InviteMade, _KEY),
    post("/v1/invites/list", InviteResource, wire.InvitesRequest, wire.InvitesListed, _KEY),
    post("/v1/invites/revoke", InviteResource, wire.RevokeInviteRequest, Answer, _KEY),
)
