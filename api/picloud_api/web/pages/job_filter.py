"""What a list of jobs shows: the parameters of its address."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import msgspec
from falcon import uri
from picloud_model import wire
from picloud_model.errors import RequestRefused
from picloud_model.job import Status
from picloud_model.ranges import MAX_JID

if TYPE_CHECKING:
    from falcon.asgi import Request

ROWS: Final = 50
"""How many rows a page has."""
AGES: Final = {"1h": 3600.0, "1d": 86400.0, "7d": 7 * 86400.0, "30d": 30 * 86400.0}
"""The periods that a list can be limited to, in seconds."""


class ListFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which jobs a list shows: all those for which nothing is chosen."""

    status: str = ""
    label: str = ""
    function: str = ""
    age: str = ""
    before: int | None = None

    @classmethod
    def read(cls, request: Request) -> ListFilter:
        """Return what the address of a request asks for.

        Raises:
            RequestRefused: When there is no such status or age, or `before` is not a jid.
        """
        status = request.get_param("status") or ""
        age = request.get_param("age") or ""
        before = request.get_param("before") or ""
        if status and status not in {each.value for each in Status}:
            raise RequestRefused("There is no such status.", field="status")
        if age and age not in AGES:
            raise RequestRefused(f"The age must be one of {', '.join(AGES)}.", field="age")
        if before and not (before.isascii() and before.isdigit() and 1 <= int(before) <= MAX_JID):
            raise RequestRefused("`before` must be a job id.", field="before")
        return cls(
            status=status,
            label=request.get_param("label") or "",
            function=request.get_param("function") or "",
            age=age,
            before=int(before) if before else None,
        )

    def query(self, **other: object) -> str:
        """Return the parameters of an address that shows the same, apart from some of them.

        >>> ListFilter(label="a&b").query(before=7)
        'label=a%26b&before=7'
        """
        values = msgspec.structs.asdict(self) | other
        chosen = {name: str(value) for name, value in values.items() if value not in ("", None)}
        return "&".join(f"{name}={uri.encode_value(value)}" for name, value in chosen.items())

    def batches(self) -> wire.BatchesRequest:
        """Return the request for the batches of one page."""
        return wire.BatchesRequest(
            statuses=self.statuses,
            label=self.label or None,
            function=self.function or None,
            created_since=time.time() - AGES[self.age] if self.age else None,
            before=self.before,
            limit=ROWS,
        )

    @property
    def statuses(self) -> list[str]:
        """The statuses that jobs must have one of; empty for all."""
        return [self.status] if self.status else []
