"""What a process asks the owner of a queue on NATS to do, as it travels between the two."""

from __future__ import annotations

from typing import Final

import msgspec

from picloud_driver.queue.port import NO_LIMITS, DeliveryId, TakeLimits


class TakeOperation(msgspec.Struct, frozen=True, array_like=True, tag="take"):
    """Take messages; see `QueuePort.take`."""

    most: int
    deadline_s: float
    timeout_s: float
    limits: TakeLimits = NO_LIMITS


class RemoveOperation(msgspec.Struct, frozen=True, array_like=True, tag="remove"):
    """Remove messages; see `QueuePort.remove`."""

    deliveries: list[DeliveryId]


class PostponeOperation(msgspec.Struct, frozen=True, array_like=True, tag="postpone"):
    """Set new deadlines; see `QueuePort.postpone`.

    `looks` is whether the owner makes sure that the queue was not deleted.
    """

    deliveries: list[DeliveryId]
    deadline_s: float
    looks: bool = True


class CountOperation(msgspec.Struct, frozen=True, array_like=True, tag="count"):
    """Count messages; see `QueuePort.counts`."""


class PurgeOperation(msgspec.Struct, frozen=True, array_like=True, tag="purge"):
    """Remove all messages; see `QueuePort.purge`."""


Operation = TakeOperation | RemoveOperation | PostponeOperation | CountOperation | PurgeOperation
OPERATION_DECODER: Final = msgspec.msgpack.Decoder(Operation)
