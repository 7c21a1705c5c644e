"""Requests as a program in any language may send them."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, Final

import msgspec
import urllib3
from picloud_model.wire import JSON, MSGPACK

from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable

BOUND_S: Final = 20.0
"""Every answer begins within this time; on an idle machine it takes milliseconds."""

OK: Final = 200

REFUSALS: Final = {"key.refused", "slot.refused", "token.refused"}
"""Codes of the replies that refuse a credential."""


class Reply(msgspec.Struct, frozen=True):
    """An answer to a request."""

    status: int
    data: bytes

    def body(self) -> Any:
        """Return its body."""
        return json.loads(self.data)

    @property
    def code(self) -> str:
        """Return the code of its error; "" for none."""
        return str(self.body().get("code", ""))


def basic(user: str, password: str) -> str:
    """Return the header of HTTP Basic authentication."""
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def authorization(path: str, credential: str) -> str:
    """Return the header with a credential, as an address takes it: the original's take a key as a
    user name and a password.
    """
    if path.startswith("/v1/"):
        return f"Bearer {credential}"
    name, _, secret = credential.removeprefix("pk_").partition("_")
    return basic(name, secret)


class Sender:
    """Sends any request to any address of a server.

    Attributes:
        key: Of the attacking account.
        other: A key of the attacked account.
        revoked: A key that was valid once.
        reader: A key of the attacking account that may only read.
        member: A key of the attacking account that decides nothing for its owners.
    """

    def __init__(self, url: str, key: str, other: str, live_slot: Callable[[], str]) -> None:
        self.url, self.key, self.other = url, key, other
        self._live_slot = live_slot
        self._slot = ""
        self.revoked = ""
        self.reader = ""
        self.member = ""
        self._pool = urllib3.PoolManager(timeout=urllib3.Timeout(BOUND_S), retries=False)

    @property
    def slot(self) -> str:
        """Return the token of a live slot of the attacking account.

        Slots end where others need their room, or when they are restarted.
        """
        if not self._lives():
            until(self._found, "a slot lives")
        return self._slot

    def _found(self) -> bool:
        self._slot = self._live_slot()
        return self._lives()

    def _lives(self) -> bool:
        """Whether the server knows the slot."""
        beat = {"running": [], "wait_s": 0.0}
        answer = self.send("POST", "/v1/heartbeat", beat, self._slot or "none")
        return answer.status == OK

    def send(self, verb: str, path: str, body: Any = None, credential: str | None = None) -> Reply:
        """Send JSON, or bytes unchanged, with a credential; by default with the attacker's key."""
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        return self.raw(verb, path, data, authorization(path, credential or self.key))

    def raw(
        self,
        verb: str,
        path: str,
        data: bytes | None,
        authorization: str,
        media: str = JSON,
        *,
        wait_s: int = 0,
    ) -> Reply:
        """Send bytes with any header of authorization; "" sends none."""
        headers = {"Content-Type": media, "Accept": MSGPACK if media == MSGPACK else JSON}
        if wait_s:
            headers["Prefer"] = f"wait={wait_s}"
        if authorization:
            headers["Authorization"] = authorization
        answer = self._pool.request(
            verb, self.url + path, body=data, headers=headers, redirect=False
        )
        return Reply(answer.status, answer.data)

    def headers(self, verb: str, path: str) -> dict[str, str]:
        """Return the headers of the reply to a request without a credential, in lower case."""
        answer = self._pool.request(verb, self.url + path, redirect=False)
        return {name.lower(): value for name, value in answer.headers.items()}

    def close(self) -> None:
        """Close its connections."""
        self._pool.clear()
