"""Operations: what each address takes, answers, and wants as a credential.

`/v1/openapi.json` is made of this table and of the routes; a test holds that neither lacks one.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

import msgspec
from picloud_model import wire


class Credential(Enum):
    """What has to be sent as the bearer."""

    NONE = ()
    """Nothing: open to everybody."""
    KEY = ("apiKey",)
    """An API key; no job has one."""
    CALLER = ("apiKey", "jobToken")
    """An API key, or the token of a job of the account."""
    SLOT = ("slotToken",)
    """The token of a slot."""
    ANY = ("apiKey", "jobToken", "slotToken")
    """An API key, or the token of a job or of a slot of the account."""


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One verb of one address.

    A `request` or `answer` that is `bytes` is just bytes; None is no body. What an answer tells is
    in the docstring of its struct, and so is what a request asks for.
    """

    credential: Credential
    request: type | None = None
    answer: type | None = None
    summary: str = ""

    def description(self) -> str:
        """What it does, in words."""
        return self.summary or (self.request.__doc__ if self.request else "") or ""


def _takes(request: type, answer: type, credential: Credential = Credential.CALLER) -> Operation:
    return Operation(credential=credential, request=request, answer=answer)


OPERATIONS: Final[dict[tuple[str, str], Operation]] = {
    ("GET", "/v1/health"): Operation(
        credential=Credential.NONE, answer=wire.Health, summary="Ping every port of the server."
    ),
    ("GET", "/v1/openapi.json"): Operation(
        credential=Credential.NONE, answer=dict, summary="This document."
    ),
    ("POST", "/v1/jobs"): _takes(wire.SubmitRequest, wire.Submitted),
    ("POST", "/v1/jobs/staged"): _takes(wire.StageRequest, wire.Answer),
    ("POST", "/v1/jobs/status"): _takes(wire.JobsRequest, wire.Statuses),
    ("POST", "/v1/jobs/wait"): _takes(wire.WaitRequest, wire.Outcomes),
    ("POST", "/v1/jobs/kill"): _takes(wire.JobsRequest, wire.Killed),
    ("POST", "/v1/jobs/info"): _takes(wire.InfoRequest, wire.JobInfos),
    ("POST", "/v1/jobs/list"): _takes(wire.ListRequest, wire.JobsListed),
    ("POST", "/v1/jobs/delete"): _takes(wire.DeleteRequest, wire.Deleted),
    ("POST", "/v1/blobs"): _takes(wire.StoreBlobsRequest, wire.BlobsStored, Credential.ANY),
    ("POST", "/v1/blobs/missing"): _takes(
        wire.MissingBlobsRequest, wire.BlobsMissing, Credential.ANY
    ),
    ("POST", "/v1/blobs/read"): _takes(wire.ReadBlobsRequest, wire.BlobsRead, Credential.ANY),
    ("GET", "/v1/blobs/{digest}"): Operation(
        credential=Credential.ANY,
        answer=bytes,
        summary="Read a blob, or be told by a redirect where it is.",
    ),
    ("PUT", "/v1/blobs/{digest}"): Operation(
        credential=Credential.ANY,
        request=bytes,
        answer=wire.BlobsStored,
        summary="Store a blob under its SHA-256.",
    ),
    ("POST", "/v1/keys"): _takes(wire.KeyRequest, wire.KeyMade, Credential.KEY),
    ("POST", "/v1/keys/list"): _takes(wire.KeysRequest, wire.KeysListed, Credential.KEY),
    ("POST", "/v1/keys/activate"): _takes(wire.KeyIdRequest, wire.ListedKey, Credential.KEY),
    ("POST", "/v1/keys/deactivate"): _takes(wire.KeyIdRequest, wire.ListedKey, Credential.KEY),
    ("POST", "/v1/accounts"): _takes(wire.AccountRequest, wire.KeyMade, Credential.KEY),
    ("POST", "/v1/accounts/list"): _takes(
        wire.AccountsRequest, wire.AccountsListed, Credential.KEY
    ),
    ("POST", "/v1/slots"): _takes(wire.SlotRequest, wire.SlotGranted, Credential.NONE),
    ("POST", "/v1/work"): _takes(wire.WorkRequest, wire.WorkAnswer, Credential.SLOT),
    ("POST", "/v1/heartbeat"): _takes(wire.HeartbeatRequest, wire.HeartbeatAnswer, Credential.SLOT),
}
"""Every operation by its verb and address."""
