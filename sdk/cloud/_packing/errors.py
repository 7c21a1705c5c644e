"""What packing raises."""

from __future__ import annotations


class PackingError(Exception):
    """This cannot be sent or read: one sentence that names the culprit and what to do."""
