"""Responses of published applications, which are the results of jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from picloud_model.errors import InvokedJobFailed, RequestRefused
from picloud_model.wire.application import AppResponseHead, response_head

from picloud_api.usecases.rest.call_result import BINARY, CallResult, LargeCallResult, raw_result
from picloud_api.usecases.rest.large_result import slice_of, span_of

if TYPE_CHECKING:
    from picloud_api.usecases.storage.blob import StoredBlob


class AppResponse(msgspec.Struct, frozen=True):
    """The status, the headers and the body of a response."""

    head: AppResponseHead
    body: CallResult | LargeCallResult


def app_response(jid: int, pickled: bytes) -> AppResponse:
    """Return the response that is the result of a job.

    Raises:
        InvokedJobFailed: When it is not one that can be sent.
    """
    data = raw_result(jid, pickled, "").data
    head, start = _head(jid, data)
    return AppResponse(head, CallResult(data[start:], content_type_of(head)))


def large_app_response(jid: int, blob: StoredBlob) -> AppResponse:
    """Return a response whose body is sent piece by piece; see `app_response`."""
    span = span_of(blob.first, blob.size)
    if span is None or span.kind is not bytes:
        raise _not_sent(jid, "is not the response of an application")
    head, length = _head(jid, blob.first[span.start :])
    pieces = slice_of(blob, span.start + length, span.stop)
    size = span.stop - span.start - length
    return AppResponse(head, LargeCallResult(pieces, size, content_type_of(head)))


def content_type_of(head: AppResponseHead) -> str:
    """Return the content type that a response names, or that of bytes that may be anything."""
    return next((value for name, value in head.headers if name.lower() == "content-type"), BINARY)


def _head(jid: int, data: bytes) -> tuple[AppResponseHead, int]:
    try:
        return response_head(data)
    except RequestRefused as error:
        raise _not_sent(jid, error.message) from None


def _not_sent(jid: int, predicate: str) -> InvokedJobFailed:
    return InvokedJobFailed(f"The result of job {jid} {predicate}.")
