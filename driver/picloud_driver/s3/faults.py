"""What can be wrong with S3, and what to do about it: one table.

A code is what S3 answers with, the status where it answers a HEAD without a body, or the name of
the class that botocore raises when there is no answer.
"""

from __future__ import annotations

from typing import Final

from botocore.exceptions import ClientError
from picloud_model.errors import BlobMissing, PiCloudError, RequestRefused, Unavailable

NO_BUCKET: Final = "NoSuchBucket"
NO_KEY: Final = "NoSuchKey"
NOTHING_THERE: Final = "404"
"""To a HEAD; whether it is the key, the bucket or our access key that is not there, it leaves."""
TAKEN: Final = "PreconditionFailed"
PAST_THE_END: Final = "InvalidRange"
BEING_WRITTEN: Final = frozenset({"ConditionalRequestConflict", "OperationAborted"})
"""Somebody else was writing the same key just then: ask again."""

_RIGHTS: Final = (
    "our access key may not do that: let it list the bucket and read, write and delete in it; or"
    " the bucket is somebody else's: choose another name"
)
_ACCESS_KEY: Final = "it does not know our access key: correct it"
_EXPIRED: Final = "our credentials have expired or are no credentials: give the server fresh ones"
_REGION: Final = "the bucket lies in another region: set the server's region to that one"
_BUSY: Final = "it is too busy now: try again"
_BROKEN: Final = "it has a fault of its own: try again, and look at its log if this stays"
_SLOW: Final = "it took too long: try again, and look at its load if this stays"
_CUT: Final = "the connection broke off: try again"
_DAMAGED: Final = "the bytes were changed on their way or on its disk: try again, or restore them"
_FULL: Final = "it has no room left: free some space there"
_NONE: Final = "we have no credentials: set the access key and the secret key"
_SETTINGS: Final = "it cannot be asked: check the address, region, bucket and keys we were given"

_Advice = tuple[type[PiCloudError], str]

FAULTS: Final[dict[str, _Advice]] = {
    NO_KEY: (BlobMissing, "there is no such blob"),
    NO_BUCKET: (Unavailable, "there is no such bucket: make it, or correct its name"),
    "InvalidBucketName": (Unavailable, "no bucket can have this name: correct it"),
    "BucketAlreadyExists": (Unavailable, "the bucket is somebody else's: choose another name"),
    NOTHING_THERE: (Unavailable, "there is no such bucket, or it does not know our access key"),
    "400": (Unavailable, "it finds the request wrong: check region and credentials"),
    "AccessDenied": (Unavailable, _RIGHTS),
    "403": (Unavailable, _RIGHTS),
    "AllAccessDisabled": (Unavailable, _RIGHTS),
    "AccountProblem": (Unavailable, "it has a problem with our account: ask who runs it"),
    "InvalidAccessKeyId": (Unavailable, _ACCESS_KEY),
    "XAdminUserNotFound": (Unavailable, _ACCESS_KEY),
    "SignatureDoesNotMatch": (Unavailable, "our secret key is not the access key's: correct it"),
    "RequestTimeTooSkewed": (Unavailable, "its clock and ours differ: set this machine's clock"),
    "ExpiredToken": (Unavailable, _EXPIRED),
    "InvalidToken": (Unavailable, _EXPIRED),
    "TokenRefreshRequired": (Unavailable, _EXPIRED),
    "AuthorizationHeaderMalformed": (Unavailable, _REGION),
    "PermanentRedirect": (Unavailable, _REGION),
    "TemporaryRedirect": (Unavailable, "the bucket is being moved: try again"),
    "IllegalLocationConstraintException": (Unavailable, _REGION),
    "InvalidLocationConstraint": (Unavailable, "it has no such region: correct the server's"),
    "301": (Unavailable, _REGION),
    "SlowDown": (Unavailable, _BUSY),
    "RequestLimitExceeded": (Unavailable, _BUSY),
    "TooManyRequests": (Unavailable, _BUSY),
    "ServiceUnavailable": (Unavailable, _BUSY),
    "429": (Unavailable, _BUSY),
    "503": (Unavailable, _BUSY),
    **dict.fromkeys(BEING_WRITTEN, (Unavailable, "the blob is being written: try again")),
    "InternalError": (Unavailable, _BROKEN),
    "500": (Unavailable, _BROKEN),
    "502": (Unavailable, _BROKEN),
    "504": (Unavailable, _SLOW),
    "RequestTimeout": (Unavailable, _SLOW),
    "IncompleteBody": (Unavailable, _CUT),
    "BadDigest": (Unavailable, _DAMAGED),
    "XAmzContentSHA256Mismatch": (Unavailable, _DAMAGED),
    "QuotaExceeded": (Unavailable, _FULL),
    "InsufficientCapacity": (Unavailable, _FULL),
    "NoSuchUpload": (Unavailable, "it gave up a blob half written: try again"),
    "KeyTooLongError": (RequestRefused, "the blob's name is too long: choose a shorter one"),
    "EntityTooLarge": (RequestRefused, "the blob is too large: divide it"),
    "EntityTooSmall": (RequestRefused, "a part of the blob is too small"),
    "MethodNotAllowed": (
        Unavailable,
        "it cannot do that: it is no S3, or lets itself be read only",
    ),
    "NotImplemented": (Unavailable, "it cannot do that: use an S3 with conditional writes"),
    "EndpointConnectionError": (Unavailable, "nothing answers there: is it running?"),
    "ConnectTimeoutError": (Unavailable, "nothing answers there: is it running and reachable?"),
    "ProxyConnectionError": (Unavailable, "the proxy does not answer: is it running?"),
    "SSLError": (Unavailable, "its certificate does not hold: name the file of who signed it"),
    "ReadTimeoutError": (Unavailable, _SLOW),
    "ConnectionClosedError": (Unavailable, _CUT),
    "ResponseStreamingError": (Unavailable, _CUT),
    "IncompleteReadError": (Unavailable, _CUT),
    "HTTPClientError": (Unavailable, "it cannot be asked: check its address and certificate file"),
    "FlexibleChecksumError": (Unavailable, _DAMAGED),
    "NoCredentialsError": (Unavailable, _NONE),
    "PartialCredentialsError": (Unavailable, _NONE),
    "CredentialRetrievalError": (Unavailable, "our credentials cannot be had: try again"),
    "MetadataRetrievalError": (Unavailable, "our credentials cannot be had: try again"),
    "ResponseParserError": (Unavailable, "its answer cannot be read: is it S3 that answers?"),
    "HTTPError": (Unavailable, _CUT),
    "BotoCoreError": (Unavailable, _SETTINGS),
    "ValueError": (Unavailable, _SETTINGS),
}


def code_of(error: Exception) -> str:
    """What S3 said is wrong, or the class of what botocore raised without having its answer.

    >>> code_of(ClientError({"Error": {"Code": "SlowDown"}}, "PutObject"))
    'SlowDown'
    """
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "no code"))
    return type(error).__name__


def refusal(error: Exception, where: str) -> PiCloudError:
    """The error of ours that stands for one of botocore's, in one sentence that says what to do.

    >>> print(refusal(ClientError({"Error": {"Code": "SlowDown"}}, "PutObject"), "S3 at a:1"))
    S3 at a:1: it is too busy now: try again (SlowDown)
    """
    code = code_of(error)
    known = (FAULTS[name] for name in (code, *_classes(error)) if name in FAULTS)
    kind, advice = next(known, (Unavailable, "it answers what we do not know: see its log"))
    return kind(f"{where}: {advice} ({code})")


def _classes(error: Exception) -> list[str]:
    return [each.__name__ for each in type(error).__mro__]
