"""Results of calls: in the encoding that the function was published with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.errors import InvokedJobFailed
from picloud_model.plain_value import NotPlain, plain_value

from picloud_api.usecases.rest.large_result import slice_of, span_of, text_of, utf8

if TYPE_CHECKING:
    from picloud_api.usecases.storage.blob import StoredBlob

PICKLE: Final = "application/python-pickle"
BINARY: Final = "application/octet-stream"
_TEXT: Final = "text/plain; charset=utf-8"


class CallResult(msgspec.Struct, frozen=True):
    """The bytes of a result, and their content type.

    With `is_value` they are JSON that is sent together with the jid, not by itself.
    """

    data: bytes
    content_type: str
    is_value: bool = False


class LargeCallResult(msgspec.Struct, frozen=True):
    """A result that is sent piece by piece; its `size` is None if only the last piece shows it."""

    pieces: AsyncIterator[bytes]
    size: int | None
    content_type: str


def large_raw_result(jid: int, blob: StoredBlob, content_type: str) -> LargeCallResult:
    """Return a large result that is bytes or text as it is; see `raw_result`."""
    span = span_of(blob.first, blob.size)
    if span is None:
        raise _not_raw(jid, "is another value")
    pieces = slice_of(blob, span.start, span.stop)
    if span.kind is bytes:
        return LargeCallResult(pieces, span.stop - span.start, content_type or BINARY)
    # How long the text is as UTF-8 depends on characters that are not valid.
    return LargeCallResult(text_of(pieces), None, content_type or _TEXT)


def raw_result(jid: int, pickled: bytes, content_type: str) -> CallResult:
    r"""Return a result that is bytes or text as it is.

    Args:
        jid: The job.
        pickled: The pickle of its result.
        content_type: That of the endpoint; if "", the type of the result decides.

    Raises:
        InvokedJobFailed: When it is neither bytes nor text.

    >>> raw_result(1, b"\x80\x05C\x02<>.", "text/html")
    CallResult(data=b'<>', content_type='text/html', is_value=False)
    """
    try:
        value = plain_value(pickled)
    except NotPlain as error:
        raise _not_raw(jid, error.predicate) from None
    if isinstance(value, bytes):
        return CallResult(value, content_type or BINARY)
    if isinstance(value, str):
        return CallResult(utf8(value), content_type or _TEXT)
    raise _not_raw(jid, f"is of type {type(value).__name__}")


def _not_raw(jid: int, predicate: str) -> InvokedJobFailed:
    return InvokedJobFailed(
        f"The result of job {jid} {predicate}, but the function is published with "
        "out_encoding='raw', so it must return bytes or text."
    )
