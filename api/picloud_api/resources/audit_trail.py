"""The audit trail: which requests are recorded in the audit log, before they are carried out."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import msgspec
from picloud_model.errors import PiCloudError

from picloud_api.resources.in_flight import account_of
from picloud_api.usecases.operation.audit import AuditRecord

if TYPE_CHECKING:
    from collections.abc import Mapping

    from falcon.asgi import Request

    from picloud_api.resources.in_flight import RequestsInFlight
    from picloud_api.usecases.operation.audit import AuditLog

AUDITED: Final = frozenset(
    f"/v1/{address}"
    for address in (
        "accounts", "grants", "grants/end", "budgets", "budgets/remove",
        "keys", "keys/activate", "keys/deactivate", "sign-ins",
        "members/change", "members/remove", "invites", "invites/revoke", "passwords/reset",
        "secrets", "secrets/remove", "webhooks/secret", "webhooks/rotate",
        "jobs/kill", "jobs/delete", "slots/restart",
        "tunnels/ssh", "tunnels/certificate",
        "bucket/publish", "bucket/remove",
        "queues/delete", "queues/purge",
        "attachments", "attachments/update", "attachments/delete",
        "volumes", "volumes/grow", "volumes/delete",
        "environments", "environments/clone", "environments/edit", "environments/rollback",
        "environments/publish", "environments/delete", "environments/setup",
        "environments/setup/save", "environments/setup/ssh", "environments/setup/close",
        "notebooks", "notebooks/password", "notebooks/delete",
        "crons", "crons/run", "crons/deregister",
        "rest", "rest/rollback", "rest/remove", "rest/keys", "rest/keys/revoke",
        "realtime", "realtime/release", "realtime/change",
    )
)  # fmt: skip
"""What is recorded besides the forms of pages: decisions, but no work. Calls, messages and objects
are too many, and jobs, queues and the bucket show them."""
NAMING: Final = (
    "account", "id", "name", "queue", "label", "key", "role", "dollars", "period", "per", "action",
    "core_type", "cores", "max_duration", "path", "prefix", "version", "volume", "environment",
    "public", "port", "jid", "jids", "until", "core_hours", "verb",
)  # fmt: skip
"""The fields of requests that say what they are about; no field of a secret value has such a name,
and what a person signs in with is not read."""
_DETAIL: Final = 120
_DETAILS: Final = 600


class AuditTrail:
    """Records requests in the audit log."""

    def __init__(self, log: AuditLog) -> None:
        self._log = log

    async def record(self, request: Request, values: Mapping[str, Any]) -> None:
        """Record a request before it is carried out; then no change is without an entry."""
        sender = request.context.sender
        record = AuditRecord(
            at=0.0,
            operation=_operation(request),
            address=request.remote_addr,
            person=getattr(sender, "person", ""),
            key=getattr(sender, "key", ""),
            jid=getattr(sender, "jid", 0),
            details=_details(values),
        )
        await self._log.add(account_of(sender), record)
        request.context.audited = record

    async def end(self, request: Request) -> None:
        """Record that a request that was recorded is refused, if it is."""
        record: AuditRecord = request.context.audited
        code: str = getattr(request.context, "refused", "")
        if code:
            refused = msgspec.structs.replace(record, refused=code)
            with suppress(PiCloudError):  # if the store is away, the log says what was requested
                await self._log.add(account_of(request.context.sender), refused)


async def note(request: Request, body: Any) -> None:
    """Record a request of the interface in the audit log, if it belongs there."""
    if request.uri_template not in AUDITED:
        return
    in_flight: RequestsInFlight | None = getattr(request.context, "in_flight", None)
    if in_flight is not None:
        await in_flight.trail.record(request, msgspec.structs.asdict(body))


async def note_form(request: Request, values: Mapping[str, Any]) -> None:
    """Record a form of a page in the audit log."""
    in_flight: RequestsInFlight | None = getattr(request.context, "in_flight", None)
    if in_flight is not None:
        await in_flight.trail.record(request, values)


def _operation(request: Request) -> str:
    """Return the address of a request; the address of a link is a secret."""
    template = request.uri_template or ""
    if template.startswith("/v1/"):
        return template.removeprefix("/v1/")
    shown = template.partition("/{link}")[0] if "{link}" in template else request.path
    return shown[:_DETAIL]


def _details(values: Mapping[str, Any]) -> str:
    """Return what a request is about.

    >>> _details({"name": "db", "variables": {"PASSWORD": "x"}, "jids": [(1, 3), (5, 5)]})
    'name=db jids=1-3,5'
    """
    named = {name: values[name] for name in NAMING if values.get(name) not in (None, "", [], ())}
    return " ".join(f"{name}={_text(value)}" for name, value in named.items())[:_DETAILS]


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        value = ",".join(_range(each) for each in value[:20])
    return str(value)[:_DETAIL]


def _range(value: Any) -> str:
    if isinstance(value, list | tuple):
        first, last = value[0], value[-1]
        return str(first) if first == last else f"{first}-{last}"
    return str(value)
