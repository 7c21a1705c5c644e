"""Grants of an account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_model.wire.grant import (
    EndGrantRequest,
    GrantMade,
    GrantsListed,
    GrantsRequest,
)

if TYPE_CHECKING:
    from picloud_model.wire.grant import Grant, GrantRequest

    from cloud._http.transport import Transport


class GrantClient:
    """Makes, ends and lists grants."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def grant(self, request: GrantRequest) -> Grant:
        """Grant an account some use."""
        return self._transport.post("/v1/grants", request, GrantMade).grant

    def end(self, account: str, grant: int) -> Grant:
        """Let today be the last day of a grant."""
        request = EndGrantRequest(account=account, grant=grant)
        return self._transport.post("/v1/grants/end", request, GrantMade).grant

    def list(self, account: str | None = None) -> GrantsListed:
        """Return all grants of an account, and the free core hours."""
        return self._transport.post("/v1/grants/list", GrantsRequest(account=account), GrantsListed)
