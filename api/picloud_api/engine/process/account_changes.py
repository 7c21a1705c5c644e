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
        self._batches: dict[str, set[str] | None] = {}

    def note(self, account: str, batch: str = "") -> None:
        """Note that something of an account has changed, and in which batch."""
        self._counts[account] += 1
        if self._batches and (batches := self._batches.get(account)) is not None:
            batches.add(batch)

    def note_all(self) -> None:
        """Note that anything may have changed."""
        self._all += 1
        self._batches = dict.fromkeys(self._batches)

    def take(self, account: str) -> set[str] | None:
        """Return the batches that have changed since the last time; None if any may have.

        >>> changes = AccountChanges()
        >>> changes.take("a0000001")  # from now on they are kept
        >>> changes.note("a0000001", "b1")
        >>> changes.take("a0000001"), changes.take("a0000001")
        ({'b1'}, set())
        """
        batches = self._batches.get(account)
        self._batches[account] = set()
        return batches

    def release(self, account: str) -> None:
        """Do not keep the batches of an account that have changed any longer."""
        self._batches.pop(account, None)

    def stamp(self, account: str) -> str:
        """Return a text that differs from earlier ones if a job of the account has changed."""
        return f"{self._process}-{self._all}-{self._counts[account]}"
