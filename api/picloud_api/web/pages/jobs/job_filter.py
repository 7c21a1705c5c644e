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
    from collections.abc import Callable

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
    env: str = ""
    parent: str = ""
    text: str = ""
    age: str = ""
    before: int | None = None

    @classmethod
    def read(cls, request: Request) -> ListFilter:
        """Return what the address of a request asks for.

        Raises:
            RequestRefused: When there is no such status or age, or `before` is not a jid.
        """
        return cls.of(lambda name: request.get_param(name) or "")

    @classmethod
    def of(cls, read: Callable[[str], str]) -> ListFilter:
        """Return what parameters ask for.

        Args:
            read: Returns the text of a parameter; "" if it is missing.

        Raises:
            RequestRefused: As for `read`.
        """
        status, age, before = map(read, ("status", "age", "before"))
        if status and status not in {each.value for each in Status}:
            raise RequestRefused("There is no such status.", field="status")
        if age and age not in AGES:
            raise RequestRefused(f"The age must be one of {', '.join(AGES)}.", field="age")
        if before and not (before.isascii() and before.isdigit() and 1 <= int(before) <= MAX_JID):
            raise RequestRefused("`before` must be a job id.", field="before")
        return cls(
            status=status,
            label=read("label"),
            function=read("function"),
            env=read("env"),
            parent=read("parent"),
            text=read("text"),
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

    def batches(self, limit: int = ROWS) -> wire.BatchesRequest:
        """Return the request for the first batches of a list, by default as many as a page has."""
        return wire.BatchesRequest(
            statuses=self.statuses,
            label=self.label or None,
            function=self.function or None,
            env=self.env or None,
            parent=self.parent or None,
            text=self.text or None,
            created_since=time.time() - AGES[self.age] if self.age else None,
            before=self.before,
            limit=limit,
        )

    @property
    def statuses(self) -> list[str]:
        """The statuses that jobs must have one of; empty for all."""
        return [self.status] if self.status else []
