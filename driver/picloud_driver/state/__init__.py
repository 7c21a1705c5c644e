"""State: the platform's records. The port, and one module per adapter."""

from picloud_driver.state.port import (
    ANY,
    Check,
    Conflict,
    Delete,
    Operation,
    Put,
    StateEntry,
    StateLock,
    StatePort,
)

__all__ = [
    "ANY",
    "Check",
    "Conflict",
    "Delete",
    "Operation",
    "Put",
    "StateEntry",
    "StateLock",
    "StatePort",
]
