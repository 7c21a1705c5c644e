"""The role of a key or of a person in an account: what they may do there."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What a key or a person may do in an account; each role may do what the later ones may.

    >>> Role.MEMBER.includes(Role.READER), Role.READER.includes(Role.MEMBER)
    (True, False)
    """

    OWNER = "owner"
    """May do everything, also invite others, set budgets and read the audit log."""
    MEMBER = "member"
    """May run jobs and change what the account has."""
    READER = "reader"
    """May read, and change nothing."""

    def includes(self, other: Role) -> bool:
        """Whether this role may do what another one may."""
        ranks = list(Role)
        return ranks.index(self) <= ranks.index(other)
