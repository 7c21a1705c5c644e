"""A route: one operation of the interface, which is one row of the route table."""

from __future__ import annotations

from enum import Enum

import msgspec


class Credential(Enum):
    """What a request must send as its credential."""

    NONE = ()
    """Nothing: open to all."""
    KEY = ("apiKey",)
    """An API key; jobs have none."""
    CALLER = ("apiKey", "jobToken")
    """An API key, or the token of a job of the account."""
    SLOT = ("slotToken",)
    """The token of a slot."""
    ANY = ("apiKey", "jobToken", "slotToken")
    """An API key, or the token of a job or of a slot of the account."""
    BASIC = ("basic",)
    """An API key by HTTP Basic authentication, as programs for the original PiCloud send it."""


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One verb of one address.

    A `request` or `answer` that is `bytes` is plain bytes; None means no body. Fields of `query`
    are parameters in the address. The docstrings of these structs describe the operation where
    there is no `summary`.
    """

    verb: str
    address: str
    resource: type
    credential: Credential
    request: type | None = None
    query: type | None = None
    answer: type | None = None
    summary: str = ""
    has_ranges: bool = False
    """Whether a request may be for a range of the bytes of the answer."""
    may_be_pending: bool = False
    """Whether the status is 202 until the job that the request has started ends."""

    @property
    def suffix(self) -> str:
        """The end of the name of the resource's method that serves the address: `on_post_<suffix>`.

        >>> route = {"verb": "POST", "resource": int, "credential": Credential.KEY}
        >>> Route(address="/v1/keys/list", **route).suffix
        'list'
        """
        *ahead, last = self.address.removeprefix("/v1").strip("/").split("/")
        parts = [part for part in (*ahead, last) if not part.startswith("{")]
        if last.startswith("{"):
            return parts[-1] if len(parts) > 1 else "one"
        if len(parts) > 1 or not hasattr(self.resource, f"on_{self.verb.lower()}_{parts[0]}"):
            return "_".join(parts[1:])
        return parts[0]

    def description(self) -> str:
        """Return what the operation does, in words."""
        described = self.query or self.request
        return self.summary or (described.__doc__ if described else "") or ""


def post(
    address: str,
    resource: type,
    request: type,
    answer: type,
    credential: Credential = Credential.CALLER,
) -> Route:
    """Return the route of an operation that takes a body and returns one."""
    return Route(
        verb="POST",
        address=address,
        resource=resource,
        request=request,
        answer=answer,
        credential=credential,
    )
