"""The least role that an operation requires: the one check of roles, at the border.

What is not listed here requires the role of a member, so that a new operation that changes
something is refused to keys that may only read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_model.errors import RoleRefused
from picloud_model.wire.role import Role

if TYPE_CHECKING:
    from falcon.asgi import Request

READS: Final = frozenset(
    f"POST /v1/{address}"
    for address in (
        "jobs/status", "jobs/wait", "jobs/info", "jobs/list", "jobs/batches",
        "blobs/missing", "blobs/read",
        "bucket/info", "bucket/open", "bucket/list", "bucket/path", "bucket/folder",
        "queues/list", "queues/info", "queues/rates", "attachments/list", "attachments/info",
        "dicts/get", "dicts/entries", "dicts/list", "locks/list",
        "volumes/get", "volumes/list",
        "environments/get", "environments/list", "environments/bases", "environments/log",
        "notebooks/list",
        "crons/list", "crons/info", "rest/list", "rest/info", "rest/keys/list",
        "keys/list", "secrets/list", "sign-ins", "members/list",
        "usage", "usage/jobs", "prices", "realtime/list", "budgets/list", "grants/list",
    )
)  # fmt: skip
"""What the keys of readers may do by POST."""
OTHER_READS: Final = frozenset(
    {
        "GET /r/{account}/{label}",
        "GET /r/{account}/{label}/v/{version}",
        "GET /r/{account}/{label}/jobs/{call}",
        "GET /r/{account}/{label}/openapi",
        "POST /sign-out",
        "POST /members/switch",
        "POST /members/password",
    }
)
"""What readers may do besides: an application is called by its other addresses, also by GET."""
_OPENING: Final = "/notebooks/open/{name}"
"""A notebook runs code, although a GET opens it."""
OWNERS: Final = frozenset(
    {
        "POST /v1/accounts",
        "POST /v1/accounts/list",
        "POST /v1/budgets",
        "POST /v1/budgets/remove",
        "POST /v1/grants",
        "POST /v1/passwords/reset",
        "POST /v1/grants/end",
        "POST /v1/webhooks/rotate",
        "POST /v1/members/change",
        "POST /v1/members/remove",
        "POST /v1/invites",
        "POST /v1/invites/list",
        "POST /v1/invites/revoke",
        "POST /members/invite",
        "POST /usage/budgets/{verb}",
        "POST /members/change",
        "POST /members/remove",
        "POST /members/revoke",
        "POST /v1/audit",
        "GET /audit",
        "GET /audit/audit.csv",
        "GET /metrics",
    }
)
"""What only owners may do."""


def least_role(verb: str, template: str) -> Role:
    """Return the least role that an operation requires.

    Args:
        verb: The method of the request.
        template: The address, as its route has it.

    >>> least_role("POST", "/v1/jobs"), least_role("GET", "/v1/blobs/{digest}")
    (<Role.MEMBER: 'member'>, <Role.READER: 'reader'>)
    """
    operation = f"{verb} {template}"
    if operation in OWNERS:
        return Role.OWNER
    is_get = verb in ("GET", "HEAD") and not template.startswith(("/r/", _OPENING))
    return Role.READER if is_get or operation in READS | OTHER_READS else Role.MEMBER


def check_role(request: Request, sender: object) -> None:
    """Refuse a request that its sender's role does not allow.

    Slots, jobs and guests of an endpoint have no role of their own.

    Raises:
        RoleRefused: When another role is required.
    """
    role: Role = getattr(sender, "role", Role.OWNER)
    if role is Role.OWNER:
        return
    least = least_role(request.method, request.uri_template or "")
    if not role.includes(least):
        raise RoleRefused
