"""How JetStream refuses a request, and the codes of refusals that have a meaning here."""

from __future__ import annotations

from typing import Final

VIOLATION: Final = "Authorization Violation"
"""What the server says when it refuses credentials."""
NO_STREAM: Final = "10059"
"""There is no such stream."""
REPEATED: Final = "10201"
"""A batch has the id of an earlier message."""
IN_USE: Final = "10100"
"""A queue's stream has a consumer already."""
NO_CONSUMER: Final = "10014"
"""There is no such consumer."""
NO_MESSAGE: Final = "10037"
"""There is no message of that number."""


class ApiRefusal(Exception):
    """JetStream refused a request."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
