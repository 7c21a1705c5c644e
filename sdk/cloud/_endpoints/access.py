"""Who may call a published function besides its account, and how often."""

from __future__ import annotations

import msgspec
from picloud_model.wire.rest import MAX_CALLS_PER_MINUTE

from cloud.errors import CloudTypeError, CloudValueError


class Access(msgspec.Struct, frozen=True):
    """Whether everybody may call a function, and its rate limit; 0 for none."""

    public: bool = False
    calls_per_minute: int = 0


def checked_access(public: object, calls_per_minute: object) -> Access:
    """Return the access that a user names.

    Raises:
        CloudTypeError: When `public` is not a bool.
        CloudException: When the rate limit is not a number of calls.

    >>> checked_access(True, 100), checked_access(False, None)
    (Access(public=True, calls_per_minute=100), Access(public=False, calls_per_minute=0))
    """
    if not isinstance(public, bool):
        raise CloudTypeError(f"public must be True or False, not {public!r:.80}.")
    if calls_per_minute is None:
        return Access(public)
    if type(calls_per_minute) is not int or not 1 <= calls_per_minute <= MAX_CALLS_PER_MINUTE:
        raise CloudValueError(
            f"calls_per_minute must be a whole number from 1 to {MAX_CALLS_PER_MINUTE:,}, not "
            f"{calls_per_minute!r:.80}."
        )
    return Access(public, calls_per_minute)
