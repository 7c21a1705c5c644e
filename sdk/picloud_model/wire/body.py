"""The bases of all bodies, the body of an error, and the types that fields share."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from picloud_model.errors import BlobMissing, PiCloudError, every_error
from picloud_model.wire.limits import LONGEST_POLL_S, MAX_ITEMS

# `$` also matches before a line break at the end; max_length rules that out.
SubmitId = Annotated[str, Meta(pattern="^[0-9a-f]{32}$", max_length=32)]
"""A UUID in hex that the client makes; it identifies the batch."""
RemovalId = SubmitId | None
"""A UUID in hex of a request to remove something, which may be repeated; it may be left out."""
KeyId = Annotated[str, Meta(pattern="^[0-9a-f]{12}$", max_length=12)]
"""The part of an API key that is not secret."""
Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$", max_length=64)]
"""SHA-256 of a blob, in hex."""
MAX_SHORT_LABEL: Final = 64
"""Longest short label, in characters."""
ShortLabel = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}$(?!\n)", max_length=MAX_SHORT_LABEL)
]
"""What an account calls a cron job or an endpoint."""
Jid = Annotated[int, Meta(ge=1, le=2**53 - 1)]
JidRange = tuple[Jid, Jid]
"""First and last jid, both included."""
JidRanges = Annotated[list[JidRange], Meta(max_length=MAX_ITEMS)]
DependencyErrors = Literal["abort", "ignore"]
"""What happens to jobs when one of their dependencies fails: they are stalled, or run anyway."""
Timeout = Annotated[float, Meta(ge=0, le=LONGEST_POLL_S)]
UNKNOWN_FIELD: Final = "must have no field `{}`"
"""What a server says of a field that it does not know. Newer clients recognize it."""
_SHORT_LABEL: Final = re.compile(rf"[A-Za-z0-9_.-]{{1,{MAX_SHORT_LABEL}}}")


def is_short_label(value: object) -> bool:
    """Whether a value is a label of a cron job or an endpoint.

    >>> is_short_label("nightly-report"), is_short_label("a b"), is_short_label(7)
    (True, False, False)
    """
    return isinstance(value, str) and _SHORT_LABEL.fullmatch(value) is not None


def unknown_field(message: str) -> str | None:
    """Return the field that a server says it does not know; None in other errors.

    >>> unknown_field("options must have no field `on_done`."), unknown_field("Job 7 is unknown.")
    ('on_done', None)
    """
    start, end = UNKNOWN_FIELD.split("{}")
    _, found, rest = message.partition(start)
    return rest.partition(end)[0] if found else None


class Request(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """Base of every request body.

    A field that has its default is not sent, so that an older server, which refuses fields that it
    does not know, serves newer clients as long as they do not need the new field. Therefore, a
    default never changes.
    """


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of every answer; a newer server may send fields that an older client does not know."""


class Problem(Answer, frozen=True):
    """Body of every error answer: a stable code, one sentence, and the field it is about."""

    code: str
    message: str
    field: str | None = None
    digests: list[str] = []

    @classmethod
    def of(cls, error: PiCloudError) -> Problem:
        """Return the body for an error.

        >>> Problem.of(BlobMissing(digests=("d",))).digests
        ['d']
        """
        digests = list(error.digests) if isinstance(error, BlobMissing) else []
        return cls(code=error.code, message=error.message, field=error.field, digests=digests)

    def error(self) -> PiCloudError:
        """Return the error of this body; a code that a newer server added is a `PiCloudError`.

        >>> type(Problem(code="new.code", message="New.").error()).__name__
        'PiCloudError'
        """
        kind = every_error().get(self.code, PiCloudError)
        if issubclass(kind, BlobMissing):
            return kind(self.message, field=self.field, digests=tuple(self.digests))
        return kind(self.message, field=self.field)
