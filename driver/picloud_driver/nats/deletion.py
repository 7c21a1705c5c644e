"""Removing single messages from a stream that several servers store."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from picloud_driver.nats import api_refusal
from picloud_driver.nats.api_refusal import ApiRefusal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from picloud_driver.nats.gateway import NatsGateway


async def delete(gateway: NatsGateway, stream: str, numbers: Iterable[int]) -> None:
    """Remove messages from most servers at least; those that are gone are not an error.

    Raises:
        ApiRefusal: When there is no such stream, or when JetStream refuses it.
        Unavailable: When JetStream does not answer.
    """
    await asyncio.gather(*(_delete(gateway, stream, number) for number in numbers))


async def _delete(gateway: NatsGateway, stream: str, number: int) -> None:
    try:
        await gateway.api(f"STREAM.MSG.DELETE.{stream}", {"seq": number, "no_erase": True})
    except ApiRefusal as refusal:
        is_gone = refusal.code == api_refusal.NO_SEQUENCE or str(refusal) == api_refusal.NOT_FOUND
        if not is_gone:
            raise
