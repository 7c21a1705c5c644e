"""Traces: the W3C `traceparent` that travels with a call, and the ids of the spans of its jobs."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final, NamedTuple

HEADER: Final = "traceparent"
"""The header of a submit that names the span of the client."""

_FORM: Final = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_SAMPLED: Final = 1


class TraceParent(NamedTuple):
    """A span as W3C Trace Context names it: its trace, its id, and whether it is recorded.

    >>> parent = TraceParent.parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    >>> parent.span_id, parent.is_sampled
    ('b7ad6b7169203331', True)
    """

    trace_id: str
    span_id: str
    flags: int

    @classmethod
    def parse(cls, text: str | None) -> TraceParent | None:
        """Return the span that a header names; None if there is none or it names none.

        >>> TraceParent.parse("00-0-0-01")
        """
        matched = _FORM.fullmatch(text or "")
        if matched is None or not int(matched[1], 16) or not int(matched[2], 16):
            return None
        return cls(matched[1], matched[2], int(matched[3], 16))

    @property
    def is_sampled(self) -> bool:
        """Whether the spans of the trace are recorded."""
        return bool(self.flags & _SAMPLED)

    def of_job(self, batch: str, index: int, attempt: int) -> TraceParent:
        """Return the span of one attempt of a job.

        The child and the API process both derive its id, so nothing has to tell them.
        """
        named = f"{self.trace_id}-{self.span_id}/{batch}/{index}/{attempt}"
        return self._replace(span_id=sha256(named.encode()).hexdigest()[:16])

    def child(self, name: str) -> TraceParent:
        """Return a span below this one whose id is derived from a name."""
        derived = sha256(f"{self.span_id}/{name}".encode()).hexdigest()[:16]
        return self._replace(span_id=derived)

    def __str__(self) -> str:
        """Return the text of the header.

        >>> text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
        >>> str(TraceParent.parse(text)) == text
        True
        """
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"
