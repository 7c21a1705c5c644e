"""Links that sign a browser in to the web pages of a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_model.wire.sign_in import SignInLink, SignInRequest

if TYPE_CHECKING:
    from cloud._http.transport import Transport


class SignInClient:
    """Makes links that sign a browser in."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def link(self) -> str:
        """Return the address of a page that signs a browser in, once and within a minute."""
        made = self._transport.post("/v1/sign-ins", SignInRequest(), SignInLink)
        return f"{self._transport.address.url}{made.path}"
