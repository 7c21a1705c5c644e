"""Reset passwords: requests and answers about links by which people choose new ones."""

from __future__ import annotations

from picloud_model.wire.body import Answer, Request
from picloud_model.wire.member import MemberName


class ResetPasswordRequest(Request, frozen=True):
    """Make a link by which a person chooses a new password: `POST /v1/passwords/reset`.

    For administrators. It works once, within a day; a repeated request makes another link, in
    place of the earlier one.
    """

    name: MemberName


class PasswordResetMade(Answer, frozen=True):
    """The path of the page on which the person chooses a password, and until when it works."""

    path: str
    expires_at: float

    def __repr__(self) -> str:
        return f"PasswordResetMade(expires_at={self.expires_at!r})"
