"""Repeating what a cluster of NATS servers cannot do while one of them is lost.

The servers elect a new leader of each stream then, which takes them some seconds, and a client that
was connected to the lost server connects to another one. Meanwhile requests are not answered, or
are refused for that reason.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, TypeVar

from nats.errors import Error as NatsError
from picloud_model.errors import Unavailable

from picloud_driver.nats import api_refusal
from picloud_driver.nats.api_refusal import ApiRefusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Result = TypeVar("Result")

PATIENCE_S: Final = 20.0
"""How long a call is repeated: a server that is silent is given up after about 10 s, and an
election takes up to 9 s after that."""
_PAUSE_S: Final = 0.2


async def outlast(call: Callable[[], Awaitable[Result]], patience_s: float) -> Result:
    """Return the result of a call, which is repeated while the servers elect a leader.

    Args:
        call: May be repeated: what it has done once, it does not do again.
        patience_s: For how long to repeat it, in seconds; 0 for a server that is alone.

    Raises:
        ApiRefusal: When JetStream refuses it.
        PiCloudError: When it fails for another reason, or for too long.
    """
    end = time.monotonic() + patience_s
    while True:
        try:
            return await call()
        except (ApiRefusal, Unavailable) as error:
            if time.monotonic() >= end or not _passes(error):
                raise
        await asyncio.sleep(_PAUSE_S)


def _passes(error: Exception) -> bool:
    """Whether a failure may be that of an election, or of a connection that was lost."""
    if isinstance(error, ApiRefusal):
        return error.code in api_refusal.NO_LEADER
    cause = error.__cause__
    if isinstance(cause, ApiRefusal):
        return cause.code in api_refusal.NO_LEADER
    # Without a cause: this process is not connected, or no server takes a message.
    return cause is None or isinstance(cause, (NatsError, OSError, TimeoutError))
