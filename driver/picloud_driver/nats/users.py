"""Users of NATS: the API, under a name for each of its tokens, with the least it needs."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_SHARED: Final = ("picloud.>", "_INBOX.>")
_PERMISSIONS: Final = {
    "publish": {"allow": ["$JS.API.>", "$JS.ACK.>", *_SHARED]},
    "subscribe": {"allow": ["$JS.EVENT.ADVISORY.CONSUMER.LEADER_ELECTED.>", *_SHARED]},
}


def user_of(token: str) -> str:
    """Return the name of the user whose password is a token; it does not reveal the token.

    >>> user_of("token")
    'picloud-3c469e9d'
    """
    return f"picloud-{hashlib.sha256(token.encode()).hexdigest()[:8]}"


def authorization(tokens: Iterable[str]) -> dict[str, Any]:
    """Return the settings of a server that accepts some tokens, such as an old and a new one."""
    return {
        "users": [
            {"user": user_of(token), "password": token, "permissions": _PERMISSIONS}
            for token in tokens
        ]
    }
