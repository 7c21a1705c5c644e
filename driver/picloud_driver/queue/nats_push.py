"""Pushing to a queue on NATS: messages as one atomic batch, each at most once where they have ids.

The server remembers the ids of messages for minutes only. So an id that is to be remembered for
longer is a message of its own: the batch stores it with what it is for, and is refused as a whole
if it is stored already. The server removes it when its time is over.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from typing import TYPE_CHECKING, Final

from picloud_driver.nats import api_refusal
from picloud_driver.nats.api_refusal import ApiRefusal
from picloud_driver.queue.nats_subject import delayed_of, ids_of, subject_of
from picloud_driver.queue.port import IDS_REMEMBERED_S

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from picloud_driver.nats.gateway import NatsGateway

    Outgoing = tuple[str, bytes, Mapping[str, str]]

_MOST: Final = 500
"""Most messages with ids of one batch, which has up to 1,000 messages."""
_NEW_ID: Final = {
    "Nats-Expected-Last-Subject-Sequence": "0",
    "Nats-TTL": f"{IDS_REMEMBERED_S:.0f}s",
}


def outgoing(queue: str, bodies: Sequence[bytes], delay_s: float) -> list[Outgoing]:
    """Return messages to publish; with a delay they are schedules, each with its own subject."""
    target = subject_of(queue)
    if delay_s <= 0:
        return [(target, body, {}) for body in bodies]
    at = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=delay_s)
    headers = {"Nats-Schedule": f"@at {at:%Y-%m-%dT%H:%M:%S.%fZ}", "Nats-Schedule-Target": target}
    batch = uuid.uuid4().hex
    return [
        (f"{delayed_of(queue)}{batch}.{index}", body, headers) for index, body in enumerate(bodies)
    ]


async def push(
    gateway: NatsGateway,
    queue: str,
    push_id: str,
    messages: Sequence[Outgoing],
    ids: Sequence[str],
) -> set[int] | None:
    """Store messages; see `QueuePort.push`.

    Returns:
        The positions of messages that were left out for their ids; None if there is no such queue,
        or if no server takes its messages now.

    Raises:
        ApiRefusal: When JetStream refuses them.
    """
    if ids:
        return await _push_new(gateway, queue, messages, ids)
    try:
        return set() if await gateway.publish_batch(messages, push_id) else None
    except ApiRefusal as refusal:
        if refusal.code != api_refusal.REPEATED:
            raise
        return set()


async def _push_new(
    gateway: NatsGateway, queue: str, messages: Sequence[Outgoing], ids: Sequence[str]
) -> set[int] | None:
    """Store those messages whose ids are new.

    Returns:
        The positions of the others; None if there is no such queue.

    Raises:
        ApiRefusal: When JetStream refuses them.
    """
    known: set[int] = set()
    for start in range(0, len(messages), _MOST):
        positions = [*range(start, min(start + _MOST, len(messages)))]
        while positions:
            batch = [
                each
                for at in positions
                # The message first: a batch that a full store cuts has no id without its message.
                for each in (messages[at], (f"{ids_of(queue)}{ids[at]}", b"", _NEW_ID))
            ]
            try:
                if not await gateway.publish_batch(batch):
                    return None
            except ApiRefusal as refusal:
                if refusal.code not in api_refusal.NOT_NEW:
                    raise
            else:
                break
            found = await asyncio.gather(*(_is_stored(gateway, queue, ids[at]) for at in positions))
            repeated = {at for at, is_stored in zip(positions, found, strict=True) if is_stored}
            known |= repeated
            positions = [at for at in positions if at not in repeated]
    return known


async def _is_stored(gateway: NatsGateway, queue: str, message_id: str) -> bool:
    body = {"last_by_subj": f"{ids_of(queue)}{message_id}"}
    try:
        await gateway.api(f"STREAM.MSG.GET.{queue}", body)
    except ApiRefusal as refusal:
        if refusal.code == api_refusal.NO_MESSAGE:
            return False
        raise
    return True
