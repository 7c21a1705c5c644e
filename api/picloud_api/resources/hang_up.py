"""Clients that wait: how long they prefer to, and whether their jobs end if they hang up."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final, TypeVar

from picloud_model import wire

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from falcon.asgi import Request

Waited = TypeVar("Waited")

RECEIVE: Final = "picloud.receive"
"""The key of a request's scope under which the server says that its client has gone."""
_WAIT: Final = re.compile(r"(?:^|[,;\s])wait=(\d{1,9})(?:$|[,;\s])", re.IGNORECASE)
_PREFERRED: Final = re.compile(r"(?:^|[,;\s])on-disconnect=kill(?:$|[,;\s])", re.IGNORECASE)


class HungUpError(Exception):
    """The client has closed its connection before it was answered."""


def preferred_wait(header: str) -> float:
    """Return how long a request prefers to wait for the result (RFC 7240), in seconds.

    >>> preferred_wait("respond-async, wait=5"), preferred_wait("wait=999"), preferred_wait("")
    (5.0, 30.0, 0.0)
    """
    matched = _WAIT.search(header)
    return min(float(matched[1]), wire.LONGEST_POLL_S) if matched else 0.0


def prefers_kill(header: str) -> bool:
    """Return whether a request prefers that its job is killed if its client hangs up.

    >>> prefers_kill("wait=5, on-disconnect=kill"), prefers_kill("wait=5")
    (True, False)
    """
    return _PREFERRED.search(header) is not None


async def unless_hung_up(request: Request, waited: Coroutine[Any, Any, Waited]) -> Waited:
    """Return what is waited for.

    Args:
        request: The request; its body has been read.
        waited: What is waited for; it is cancelled when the client hangs up.

    Raises:
        HungUpError: When the client hangs up before.
    """
    gone = asyncio.ensure_future(_gone(request))
    waiting = asyncio.ensure_future(waited)
    try:
        await asyncio.wait((gone, waiting), return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            raise HungUpError
        return waiting.result()
    finally:
        for each in (gone, waiting):
            each.cancel()
        await asyncio.gather(gone, waiting, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.scope[RECEIVE]())["type"] != "http.disconnect":
        pass
