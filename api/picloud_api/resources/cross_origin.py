"""Cross-origin requests: by scripts of web pages that other servers serve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from falcon.asgi import Response

_READ: Final = "Location, Retry-After"
"""Headers of responses that scripts may read besides those that they always may."""
_SENT: Final = "Authorization, Content-Type, Idempotency-Key, Prefer"
"""Headers of requests that scripts may set."""
_LASTING_S: Final = 600
"""How long a browser may use the answer to a preflight request, in seconds."""


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
