"""State: what the platform remembers. The port, and an adapter a file."""

from picloud_driver.state.port import (
    ANY,
    Check,
    Conflict,
    Delete,
    Lock,
    Operation,
    Put,
    StateEntry,
    StatePort,
)

__all__ = [
    "ANY",
    "Check",
    "Conflict",
    "Delete",
    "Lock",
    "Operation",
    "Put",
    "StateEntry",
    "StatePort",
]
