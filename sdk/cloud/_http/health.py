"""Checking that an address is that of a PiCloud server, before there is a key for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model import wire

from cloud.errors import CloudConnectionError, CloudException

if TYPE_CHECKING:
    from cloud._http.transport import Transport

_UNHEALTHY: Final = 503


def check_server(transport: Transport) -> None:
    """Check that a PiCloud server answers; it needs no key, and need not be healthy.

    Raises:
        CloudException: When nothing answers at the address, or something else does.
    """
    try:
        reply = transport.read("/v1/health", {}, {_UNHEALTHY})
        is_json = wire.JSON in reply.headers.get("content-type", "")
        wire.decode(reply.body, wire.Health, wire.JSON if is_json else wire.MSGPACK)
    except CloudConnectionError:
        raise
    except (CloudException, msgspec.MsgspecError) as error:
        raise CloudException(
            f"The server at {transport.address.url} is not a PiCloud server; check the address."
        ) from error
