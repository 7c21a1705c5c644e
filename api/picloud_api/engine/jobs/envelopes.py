"""Envelopes: a reply lists each envelope once, and its jobs refer to it by position."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from picloud_model.pack import Envelope


class EnvelopeTable:
    """The envelopes of one reply.

    >>> from picloud_model.pack import Envelope
    >>> table = EnvelopeTable()
    >>> [table.position(Envelope(python, "3.1.0")) for python in ("3.11", "3.12", "3.11")]
    [0, 1, 0]
    """

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []

    def position(self, envelope: Envelope) -> int:
        """Return the position of an envelope; a new one is appended."""
        if envelope not in self.envelopes:
            self.envelopes.append(envelope)
        return self.envelopes.index(envelope)
