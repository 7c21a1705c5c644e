"""The audit log of an account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_model.wire.audit import MAX_ENTRIES, AuditListed, AuditRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from picloud_model.wire.audit import AuditEntry

    from cloud._http.transport import Transport


class AuditClient:
    """Reads the audit log."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def entries(self, since: float = 0.0, most: int | None = None) -> Iterator[AuditEntry]:
        """Yield the entries since a time, the newest first."""
        left, before = most, None
        while left is None or left > 0:
            limit = MAX_ENTRIES if left is None else min(left, MAX_ENTRIES)
            request = AuditRequest(before=before, since=since, limit=limit)
            some = self._transport.post("/v1/audit", request, AuditListed).entries
            yield from some
            if len(some) < limit:
                return
            before = some[-1].number
            left = None if left is None else left - len(some)
