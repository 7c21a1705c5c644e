"""Account changes: whether any job of an account may have changed since a page was made."""

from __future__ import annotations

import secrets
from collections import Counter


class AccountChanges:
    """Counts the changes of each account that this process knows of.

    >>> changes = AccountChanges()
    >>> stamp = changes.stamp("a0000001")
    >>> changes.note("a0000002")
    >>> changes.stamp("a0000001") == stamp
    True
    >>> changes.note("a0000001")
    >>> changes.stamp("a0000001") == stamp
    False
    """

    def __init__(self) -> None:
        self._process = secrets.token_hex(4)
        self._all = 0
        self._counts: Counter[str] = Counter()

    def note(self, account: str) -> None:
        """Note that something of an account has changed."""
        self._counts[account] += 1

    def note_all(self) -> None:
        """Note that anything may have changed."""
        self._all += 1

    def stamp(self, account: str) -> str:
        """Return a text that differs from earlier ones if a job of the account has changed."""
        return f"{self._process}-{self._all}-{self._counts[account]}"
