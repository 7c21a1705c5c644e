"""Who may call a published function besides its account, how often, and from which web pages.

How many slots are kept running for these calls belongs to it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.wire.rest import MAX_CALLS_PER_MINUTE, MAX_ORIGINS, MAX_WARM

from cloud.errors import CloudTypeError, CloudValueError

if TYPE_CHECKING:
    from collections.abc import Sequence

_ORIGIN: Final = re.compile(r"\*|https?://[a-z0-9.-]{1,253}(:[0-9]{1,5})?")


class Access(msgspec.Struct, frozen=True):
    """Whether everybody may call a function, its rate limit (0 for none), and origins of pages.

    `warm` slots are kept running for the calls.
    """

    public: bool = False
    calls_per_minute: int = 0
    origins: tuple[str, ...] = ()
    warm: int = 0


def checked_access(
    public: object, calls_per_minute: object, origins: Sequence[str] = (), warm: object = 0
) -> Access:
    """Return the access that a user names.

    Raises:
        CloudTypeError: When `public` is not a bool.
        CloudException: When the rate limit is not a number of calls, an origin is not valid, or
            `warm` is not a number of slots.

    >>> checked_access(True, 100, ["https://example.org"], 2)
    Access(public=True, calls_per_minute=100, origins=('https://example.org',), warm=2)
    >>> checked_access(False, None)
    Access(public=False, calls_per_minute=0, origins=(), warm=0)
    """
    if not isinstance(public, bool):
        raise CloudTypeError(f"public must be True or False, not {public!r:.80}.")
    checked = _checked_origins(origins)
    if type(warm) is not int or not 0 <= warm <= MAX_WARM:
        message = f"warm must be a whole number of slots from 0 to {MAX_WARM}, not {warm!r:.80}."
        raise CloudValueError(message)
    if calls_per_minute is None:
        return Access(public, 0, checked, warm)
    if type(calls_per_minute) is not int or not 1 <= calls_per_minute <= MAX_CALLS_PER_MINUTE:
        raise CloudValueError(
            f"calls_per_minute must be a whole number from 1 to {MAX_CALLS_PER_MINUTE:,}, not "
            f"{calls_per_minute!r:.80}."
        )
    return Access(public, calls_per_minute, checked, warm)


def _checked_origins(origins: Sequence[str]) -> tuple[str, ...]:
    if isinstance(origins, str) or not isinstance(origins, list | tuple):
        raise CloudTypeError(f"origins must be a list of texts, not {origins!r:.80}.")
    if len(origins) > MAX_ORIGINS:
        raise CloudValueError(f"A published function has at most {MAX_ORIGINS} origins.")
    for each in origins:
        if not isinstance(each, str) or not _ORIGIN.fullmatch(each):
            raise CloudValueError(
                "An origin is what browsers send, as 'https://example.org' without a path, or '*', "
                f"not {each!r:.80}."
            )
    return tuple(origins)
