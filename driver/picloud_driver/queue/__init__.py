"""Queues: the messages that users push and pop. The port, and one module per adapter."""

from picloud_driver.queue.port import (
    Delivery,
    DeliveryId,
    Exchanged,
    QueueCounts,
    QueuePort,
    QueuePush,
    TakeLimits,
)

__all__ = [
    "Delivery",
    "DeliveryId",
    "Exchanged",
    "QueueCounts",
    "QueuePort",
    "QueuePush",
    "TakeLimits",
]
