"""How JetStream refuses a request, and the codes of refusals that have a meaning here."""

from __future__ import annotations

from typing import Final

VIOLATION: Final = "Authorization Violation"
"""What the server says when it refuses credentials."""
NO_STREAM: Final = "10059"
"""There is no such stream."""
REPEATED: Final = "10201"
"""A batch has the id of an earlier message."""
NOT_NEW: Final = ("10071", "10164")
"""A message that was to be the first of its subject is not."""
NO_TTL: Final = "10166"
"""The stream does not remove messages after a time of their own."""
EXISTS: Final = "10058"
"""There is a stream of that name with other settings."""
IN_USE: Final = "10100"
"""A queue's stream has a consumer already."""
NO_CONSUMER: Final = "10014"
"""There is no such consumer."""
NO_MESSAGE: Final = "10037"
"""There is no message of that number."""
NO_SEQUENCE: Final = "10043"
NOT_FOUND: Final = "no message found"
"""A message that is to be deleted is gone: what the server says of the first one, in that case."""
NO_LEADER: Final = ("10008", "10009", "10118", "10119")
"""The servers of the cluster have not elected a leader yet, or this one does not know it."""


class ApiRefusal(Exception):
    """JetStream refused a request."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
