"""Members of an account, and invitations to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from picloud_model.wire import Answer
from picloud_model.wire.member import (
    ChangeMemberRequest,
    InviteMade,
    InviteRequest,
    InvitesListed,
    InvitesRequest,
    ListedInvite,
    MembersListed,
    MembersRequest,
    RemoveMemberRequest,
    RevokeInviteRequest,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_model.wire.member import ListedMember
    from picloud_model.wire.role import Role

    from cloud._http.transport import Transport


class MadeInvite(NamedTuple):
    """An invitation, and its link."""

    invite: ListedInvite
    link: str


class MemberClient:
    """Invites members, lists them, changes their roles and removes them."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self) -> Sequence[ListedMember]:
        """Return the members, in the order in which they joined."""
        return self._transport.post("/v1/members/list", MembersRequest(), MembersListed).members

    def change_role(self, name: str, role: Role) -> None:
        """Give a member another role."""
        self._transport.post(
            "/v1/members/change", ChangeMemberRequest(name=name, role=role), Answer
        )

    def remove(self, name: str) -> None:
        """Remove a member, and deactivate the member's keys."""
        self._transport.post("/v1/members/remove", RemoveMemberRequest(name=name), Answer)

    def invite(self, role: Role) -> MadeInvite:
        """Make a link by which a person becomes a member. Only this reply contains it."""
        made = self._transport.post("/v1/invites", InviteRequest(role=role), InviteMade)
        return MadeInvite(made.invite, f"{self._transport.address.url}{made.path}")

    def invites(self) -> Sequence[ListedInvite]:
        """Return the invitations that can be accepted, oldest first."""
        return self._transport.post("/v1/invites/list", InvitesRequest(), InvitesListed).invites

    def revoke(self, invite_id: str) -> None:
        """Revoke an invitation."""
        self._transport.post("/v1/invites/revoke", RevokeInviteRequest(id=invite_id), Answer)
