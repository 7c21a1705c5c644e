"""Uploads what is too large to travel in a report."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from msgspec.structs import replace
from picloud_model.errors import NotAllowed, PiCloudError, Unavailable
from picloud_model.job import Cause, State
from picloud_model.pack import INLINE_BYTES
from picloud_model.wire import BlobsMissing, Content, Failure, MissingBlobsRequest

from picloud_worker.failure import bounded, parcel

if TYPE_CHECKING:
    from picloud_model.wire import JobReport

    from picloud_worker.api.client import ApiClient


def upload(api: ApiClient, data: bytes) -> Content:
    """Upload bytes as a blob of the account, unless the server has it.

    Raises:
        Unavailable: When the server does not answer.
        PiCloudError: When it refuses the blob.
    """
    digest = sha256(data).hexdigest()
    needed = MissingBlobsRequest(digests=[digest], sizes=[len(data)])
    answer = api.post("/v1/blobs/missing", needed, BlobsMissing)
    for wanted in answer.uploads:
        if wanted.digest != digest:
            raise Unavailable("the server asks for a blob that was not offered")
        api.upload(wanted.url, wanted.headers, data)
    return Content(digest, len(data))


def offload(api: ApiClient, report: JobReport) -> JobReport:
    """Upload the info and the result of a job where they are large; return the report without.

    A result that the server refuses is an error of the job; an info that it refuses is dropped.

    Raises:
        Unavailable: When the server does not answer.
        NotAllowed: When the server does not know this slot.
    """
    if report.info is not None and report.info.data is not None:
        report = replace(report, info=_uploaded_info(api, report.info.data))
    if len(report.payload) <= INLINE_BYTES:
        return report
    try:
        return replace(report, payload=b"", blob=upload(api, report.payload))
    except (Unavailable, NotAllowed):
        raise
    except PiCloudError as error:
        message = f"the result could not be stored: {error.message}"
        failure = bounded(Failure(cause=Cause.PAYLOAD, message=message))
        return replace(report, state=State.ERROR, cause=failure.cause, payload=parcel(failure))


def _uploaded_info(api: ApiClient, data: bytes) -> Content | None:
    try:
        return upload(api, data)
    except (Unavailable, NotAllowed):
        raise
    except PiCloudError:
        return None
