"""Scheduler: places to run. The port, and an adapter a file."""

from picloud_driver.scheduler.port import (
    Burst,
    Placement,
    Pool,
    SchedulerPort,
    SlotEnd,
    SlotPresence,
)

__all__ = ["Burst", "Placement", "Pool", "SchedulerPort", "SlotEnd", "SlotPresence"]
