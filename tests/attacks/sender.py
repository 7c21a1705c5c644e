"""Requests as any program in any language may send them."""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec
import urllib3
from picloud_model.wire import JSON, MSGPACK

BOUND_S: Final = 20.0
"""Whatever is asked, an answer begins within this; on a quiet machine it takes milliseconds."""

REFUSALS: Final = {"key.refused", "slot.refused", "token.refused"}
"""Codes of the replies that refuse a credential."""


class Reply(msgspec.Struct, frozen=True):
    """An answer."""

    status: int
    data: bytes

    def body(self) -> Any:
        """What it says."""
        return json.loads(self.data)

    @property
    def code(self) -> str:
        """Which error it is; "" for none."""
        return str(self.body().get("code", ""))


class Sender:
    """Sends anything anywhere below a server's URL.

    Attributes:
        key: Of the account that attacks.
        other: A key of the account that is attacked.
        slot: The token of a slot of the account that attacks.
        revoked: A key that was good once.
    """

    def __init__(self, url: str, key: str, other: str, slot: str) -> None:
        self.url, self.key, self.other, self.slot = url, key, other, slot
        self.revoked = ""
        self._pool = urllib3.PoolManager(timeout=urllib3.Timeout(BOUND_S), retries=False)

    def send(self, verb: str, path: str, body: Any = None, credential: str | None = None) -> Reply:
        """Send JSON, or bytes as they are, with a bearer; the attacker's key by default."""
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        return self.raw(verb, path, data, f"Bearer {credential or self.key}")

    def raw(
        self, verb: str, path: str, data: bytes | None, authorization: str, media: str = JSON
    ) -> Reply:
        """Send bytes with any header of authorization; "" sends none."""
        headers = {"Content-Type": media, "Accept": MSGPACK if media == MSGPACK else JSON}
        if authorization:
            headers["Authorization"] = authorization
        answer = self._pool.request(
            verb, self.url + path, body=data, headers=headers, redirect=False
        )
        return Reply(answer.status, answer.data)

    def close(self) -> None:
        """Close its connections."""
        self._pool.clear()
