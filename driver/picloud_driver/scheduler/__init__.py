"""Scheduler: where slots run. The port, and one module per adapter."""

from picloud_driver.scheduler.port import (
    THREADS,
    Burst,
    Placement,
    Pool,
    SchedulerPort,
    SlotEnd,
    SlotPresence,
)

__all__ = ["THREADS", "Burst", "Placement", "Pool", "SchedulerPort", "SlotEnd", "SlotPresence"]
