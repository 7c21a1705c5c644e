"""The route table: each operation once, with what serves it and what it takes and returns.

The application, the OpenAPI document and the attack tests are made from this table. A new noun adds
its rows here.
"""

from __future__ import annotations

from typing import Final

from picloud_model import wire

from picloud_api.resources.blob import BlobResource
from picloud_api.resources.health import HealthResource
from picloud_api.resources.info import InfoResource
from picloud_api.resources.job import JobResource
from picloud_api.resources.key import AccountResource, KeyResource
from picloud_api.resources.route import Credential, Route
from picloud_api.resources.slot import SlotResource

_JOB, _INFO, _BLOB, _SLOT = JobResource, InfoResource, BlobResource, SlotResource
_KEY, _ACCOUNT = KeyResource, AccountResource
_CALLER, _HOLDER, _ANY = Credential.CALLER, Credential.KEY, Credential.ANY


def _post(
    address: str, resource: type, request: type, answer: type, credential: Credential = _CALLER
) -> Route:
    return Route(
        verb="POST",
        address=address,
        resource=resource,
        request=request,
        answer=answer,
        credential=credential,
    )


ROUTES: Final = (
    Route(
        verb="GET",
        address="/v1/health",
        resource=HealthResource,
        answer=wire.Health,
        credential=Credential.NONE,
        summary="Ping every port of the server.",
    ),
    _post("/v1/jobs", _JOB, wire.SubmitRequest, wire.Submitted),
    _post("/v1/jobs/staged", _JOB, wire.StageRequest, wire.Answer),
    _post("/v1/jobs/status", _JOB, wire.JobsRequest, wire.Statuses),
    _post("/v1/jobs/wait", _JOB, wire.WaitRequest, wire.Outcomes),
    _post("/v1/jobs/kill", _JOB, wire.JobsRequest, wire.Killed),
    _post("/v1/jobs/info", _INFO, wire.InfoRequest, wire.JobInfos),
    _post("/v1/jobs/list", _INFO, wire.ListRequest, wire.JobsListed),
    _post("/v1/jobs/delete", _INFO, wire.DeleteRequest, wire.Deleted),
    _post("/v1/blobs", _BLOB, wire.StoreBlobsRequest, wire.BlobsStored, _ANY),
    _post("/v1/blobs/missing", _BLOB, wire.MissingBlobsRequest, wire.BlobsMissing, _ANY),
    _post("/v1/blobs/read", _BLOB, wire.ReadBlobsRequest, wire.BlobsRead, _ANY),
    Route(
        verb="GET",
        address="/v1/blobs/{digest}",
        resource=_BLOB,
        answer=bytes,
        credential=_ANY,
        summary="Read a blob, or follow a redirect to where it is.",
    ),
    Route(
        verb="PUT",
        address="/v1/blobs/{digest}",
        resource=_BLOB,
        request=bytes,
        answer=wire.BlobsStored,
        credential=_ANY,
        summary="Store a blob under its SHA-256.",
    ),
    _post("/v1/keys", _KEY, wire.KeyRequest, wire.KeyMade, _HOLDER),
    _post("/v1/keys/list", _KEY, wire.KeysRequest, wire.KeysListed, _HOLDER),
    _post("/v1/keys/activate", _KEY, wire.KeyIdRequest, wire.ListedKey, _HOLDER),
    _post("/v1/keys/deactivate", _KEY, wire.KeyIdRequest, wire.ListedKey, _HOLDER),
    _post("/v1/accounts", _ACCOUNT, wire.AccountRequest, wire.KeyMade, _HOLDER),
    _post("/v1/accounts/list", _ACCOUNT, wire.AccountsRequest, wire.AccountsListed, _HOLDER),
    _post("/v1/slots", _SLOT, wire.SlotRequest, wire.SlotGranted, Credential.NONE),
    _post("/v1/work", _SLOT, wire.WorkRequest, wire.WorkAnswer, Credential.SLOT),
    _post("/v1/heartbeat", _SLOT, wire.HeartbeatRequest, wire.HeartbeatAnswer, Credential.SLOT),
)
"""Every operation on a noun, in the order of the OpenAPI document."""
