"""Cross-origin requests: by scripts of web pages that other servers serve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_model import wire
from picloud_model.errors import NotAllowed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from falcon.asgi import Request, Response

_READ: Final = "Location, Retry-After"
"""Headers of responses that scripts may read besides those that they always may."""
_SENT: Final = "Authorization, Content-Type, Idempotency-Key, Prefer"
"""Headers of requests that scripts may set."""
_LASTING_S: Final = 600
"""How long a browser may use the answer to a preflight request, in seconds."""
_PREFLIGHTED: Final = ("Idempotency-Key", "Prefer")
"""Headers that no form can have, and no script before a browser has asked the server."""
_REMEMBERED: Final = (
    "This request was sent by a page of another site, perhaps with a password that the browser "
    f"remembers, so it was refused: send the arguments as JSON (Content-Type: {wire.JSON})."
)


def is_foreign(request: Request) -> bool:
    """Return whether a page of another origin sent a request; browsers say so.

    Args:
        request: A request that a form may send. Programs that are not browsers name no page.
    """
    site = request.get_header("Sec-Fetch-Site")
    if site is not None:
        return site != "same-origin"
    origin = request.get_header("Origin")
    return origin is not None and origin.partition("://")[2] != request.netloc


def check_credential_is_meant(request: Request) -> None:
    """Check that a page of another origin did not use a password that the browser remembers.

    A browser adds such a password to each form that any page sends here. What a form cannot send,
    it sends for a page of another origin only after a preflight request, and then without
    passwords, because no response here has `Access-Control-Allow-Credentials`.

    Raises:
        NotAllowed: When it may have done so.
    """
    if request.get_header("Authorization") is None or not is_foreign(request):
        return
    kind = (request.content_type or "").partition(";")[0].strip().lower()
    if kind != wire.JSON and not any(map(request.get_header, _PREFLIGHTED)):
        raise NotAllowed(_REMEMBERED)


def allow_origin(response: Response, origin: str, origins: Sequence[str]) -> bool:
    """Let a script of a page read a response, if its origin is one of those that may.

    A browser that reads it has sent a credential only if the script set one: cookies, and passwords
    that the browser remembers, are never allowed.

    Args:
        response: The response.
        origin: The origin that the request names.
        origins: Those that may read it; `*` is each one.

    Returns:
        Whether it may.
    """
    response.append_header("Vary", "Origin")
    allowed = "*" if "*" in origins else origin if origin in origins else ""
    if allowed:
        response.set_header("Access-Control-Allow-Origin", allowed)
        response.set_header("Access-Control-Expose-Headers", _READ)
    return bool(allowed)


def allow_requests(response: Response, verbs: Sequence[str]) -> None:
    """Answer a preflight request of an origin that is allowed: what scripts may send."""
    response.set_header("Access-Control-Allow-Methods", ", ".join(verbs))
    response.set_header("Access-Control-Allow-Headers", _SENT)
    response.set_header("Access-Control-Max-Age", str(_LASTING_S))
