"""Results of calls: in the encoding that the function was published with."""

from __future__ import annotations

from typing import Final

import msgspec
from picloud_model.errors import InvokedJobFailed
from picloud_model.plain_value import NotPlain, plain_value

PICKLE: Final = "application/python-pickle"
_BINARY: Final = "application/octet-stream"
_TEXT: Final = "text/plain; charset=utf-8"


class CallResult(msgspec.Struct, frozen=True):
    """The bytes of a result, and their content type."""

    data: bytes
    content_type: str


def raw_result(jid: int, pickled: bytes, content_type: str) -> CallResult:
    r"""Return a result that is bytes or text as it is.

    Args:
        jid: The job.
        pickled: The pickle of its result.
        content_type: That of the endpoint; if "", the type of the result decides.

    Raises:
        InvokedJobFailed: When it is neither bytes nor text.

    >>> raw_result(1, b"\x80\x05C\x02<>.", "text/html")
    CallResult(data=b'<>', content_type='text/html')
    """
    try:
        value = plain_value(pickled)
    except NotPlain as error:
        raise _not_raw(jid, error.predicate) from None
    if isinstance(value, bytes):
        return CallResult(value, content_type or _BINARY)
    if isinstance(value, str):
        return CallResult(_bytes(value), content_type or _TEXT)
    raise _not_raw(jid, f"is of type {type(value).__name__}")


def _bytes(text: str) -> bytes:
    try:
        # What a command prints may hold bytes that are not UTF-8, as `os.fsdecode` keeps them.
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def _not_raw(jid: int, predicate: str) -> InvokedJobFailed:
    return InvokedJobFailed(
        f"The result of job {jid} {predicate}, but the function is published with "
        "out_encoding='raw', so it must return bytes or text."
    )
