"""Members of an account and invitations: requests and answers about them."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from picloud_model.wire.body import Answer, KeyId, Request
from picloud_model.wire.role import Role

MemberName = Annotated[str, Meta(min_length=1, max_length=254)]
"""An e-mail address or another name, by which a person signs in."""
InviteId = KeyId
"""The first part of the digest of an invitation's secret."""


class MembersRequest(Request, frozen=True):
    """List the people who are members of the account: `POST /v1/members/list`."""


class ListedMember(Answer, frozen=True):
    """A member of an account; `own` marks the one who sends the request."""

    name: str
    role: Role
    joined_at: float
    own: bool = False


class MembersListed(Answer, frozen=True):
    """The members of an account, in the order in which they joined."""

    members: list[ListedMember]


class ChangeMemberRequest(Request, frozen=True):
    """Give a member another role, as an owner: `POST /v1/members/change`."""

    name: MemberName
    role: Role


class RemoveMemberRequest(Request, frozen=True):
    """Remove a member and deactivate the member's keys, as an owner: `POST /v1/members/remove`."""

    name: MemberName


class InviteRequest(Request, frozen=True):
    """Make a link by which a person becomes a member, as an owner: `POST /v1/invites`.

    It works once, within a week. A repeated request makes another one.
    """

    role: Role = Role.MEMBER


class ListedInvite(Answer, frozen=True):
    """An invitation without its secret; `made_by` is the name of a member, or the id of a key."""

    id: str
    role: Role
    made_by: str
    created_at: float
    expires_at: float


class InviteMade(Answer, frozen=True):
    """An invitation, and the path of the page on which it is accepted."""

    invite: ListedInvite
    path: str

    def __repr__(self) -> str:
        return f"InviteMade(invite={self.invite!r})"


class InvitesRequest(Request, frozen=True):
    """List the invitations that can be accepted, as an owner: `POST /v1/invites/list`."""


class InvitesListed(Answer, frozen=True):
    """Invitations, the oldest first."""

    invites: list[ListedInvite]


class RevokeInviteRequest(Request, frozen=True):
    """Revoke an invitation, as an owner: `POST /v1/invites/revoke`."""

    id: InviteId
