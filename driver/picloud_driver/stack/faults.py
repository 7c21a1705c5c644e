"""Errors of a stack."""

from __future__ import annotations


class StackFault(Exception):
    """A stack cannot be started, used or ended: one sentence that says what to do.

    `tail` is the end of a server's log, or "" if the log does not help.
    """

    def __init__(self, message: str, tail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.tail = tail


class Interrupted(StackFault):
    """Another server of the stack has failed."""
