"""Links by which people choose new passwords, for administrators."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from picloud_model.wire.password_reset import PasswordResetMade, ResetPasswordRequest

if TYPE_CHECKING:
    from cloud._http.transport import Transport


class PasswordResetLink(NamedTuple):
    """A link, and the time of the epoch until which it works."""

    link: str
    expires_at: float


class PasswordResetClient:
    """Makes links by which people choose new passwords."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self, name: str) -> PasswordResetLink:
        """Make a link for the person of a name. Only this reply contains it."""
        request = ResetPasswordRequest(name=name)
        made = self._transport.post("/v1/passwords/reset", request, PasswordResetMade)
        return PasswordResetLink(f"{self._transport.address.url}{made.path}", made.expires_at)
