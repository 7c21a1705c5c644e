"""The audit log of an account: requests for it, and its entries."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from picloud_model.wire.body import Answer, Request

MAX_ENTRIES: Final = 1000
"""The most entries of one answer."""


class AuditRequest(Request, frozen=True):
    """Read the audit log of the account, as an owner: `POST /v1/audit`.

    The newest entries come first, from before the entry with the number `before` if there is one,
    and not from before the time `since`.
    """

    before: Annotated[int, Meta(ge=0)] | None = None
    since: Annotated[float, Meta(ge=0)] = 0.0
    limit: Annotated[int, Meta(ge=1, le=MAX_ENTRIES)] = 100


class AuditEntry(Answer, frozen=True, kw_only=True):
    """What a person, a program or a job did, or was refused.

    `person` is the name of the member who did it, `key` the id of the key, `jid` the job, if one
    did. `operation` is the address without `/v1/`, or that of a page. `details` names what it was
    about. `refused` is the code of the error if it was refused, and then the entry before says what
    was requested.
    """

    number: int
    at: float
    operation: str
    address: str = ""
    person: str = ""
    key: str = ""
    jid: int = 0
    details: str = ""
    refused: str = ""

    @property
    def who(self) -> str:
        """The person, or else the key or the job.

        >>> AuditEntry(number=1, at=0.0, operation="keys", key="0123456789ab").who
        'key 0123456789ab'
        """
        if self.jid:
            return f"job {self.jid}"
        return self.person or f"key {self.key}"


class AuditListed(Answer, frozen=True):
    """Entries of the audit log, the newest first."""

    entries: list[AuditEntry]


COLUMNS: Final = ("time", "who", "key", "address", "operation", "details", "refused")
"""The columns of an export."""


def cells(entry: AuditEntry, time: str) -> list[str]:
    """Return the columns of an entry, of which no program for tables takes one for a formula.

    Args:
        entry: The entry.
        time: When it was, as text.

    >>> cells(AuditEntry(number=1, at=0.0, operation="keys", person="=1+1"), "now")[:2]
    ['now', "'=1+1"]
    """
    texts = [
        entry.who,
        entry.key,
        entry.address,
        entry.operation,
        entry.details,
        entry.refused,
    ]
    return [time, *(f"'{text}" if text.startswith(tuple("=+-@\t")) else text for text in texts)]
