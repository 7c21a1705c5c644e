"""The faults of S3, and what to do about each.

A code is the one that S3 answers with, or the HTTP status of its answer to a HEAD, which has no
body. If S3 does not answer, botocore raises an exception without a code.
"""

from __future__ import annotations

from typing import Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    MetadataRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    ProxyConnectionError,
    ReadTimeoutError,
    ResponseStreamingError,
    SSLError,
)
from botocore.parsers import ResponseParserError
from picloud_model.errors import (
    BlobMissing,
    ObjectChanged,
    ObjectNotFound,
    PiCloudError,
    RequestRefused,
    UploadNotFound,
)
from urllib3.exceptions import HTTPError

from picloud_driver.fault_table import Fault, error_for

NO_BUCKET: Final = "NoSuchBucket"
NO_KEY: Final = "NoSuchKey"
NOTHING_THERE: Final = "404"
"""The answer to a HEAD, whether S3 lacks the key, the bucket or our access key."""
TAKEN: Final = "PreconditionFailed"
PAST_THE_END: Final = "InvalidRange"
BEING_WRITTEN: Final = frozenset({"ConditionalRequestConflict", "OperationAborted"})
"""Another client was writing the same key at that moment: try again."""

_RIGHTS: Final = (
    "our access key may not do that: let it list the bucket and read, write and delete in it; or"
    " the bucket is another account's: choose another name"
)
_ACCESS_KEY: Final = "it does not know our access key: correct it"
_EXPIRED: Final = "our credentials have expired or are not valid: give the server fresh ones"
_REGION: Final = "the bucket is in another region: set the server's region to that one"
_BUSY: Final = "it is too busy now: try again"
_BROKEN: Final = "it has a fault of its own: try again, and look at its log if this stays"
_SLOW: Final = "it took too long: try again, and look at its load if this stays"
_CUT: Final = "the connection broke off: try again"
_DAMAGED: Final = "the bytes were changed on their way or on its disk: try again, or restore them"
_FULL: Final = "it has no room left: free some space there"
_NONE: Final = "we have no credentials: set the access key and the secret key"
_SETTINGS: Final = "it cannot be asked: check the address, region, bucket and keys we were given"

OF_OBJECTS: Final[dict[str, tuple[type[PiCloudError], str]]] = {
    NO_KEY: (ObjectNotFound, "There is no such object in your bucket."),
    "NoSuchUpload": (UploadNotFound, ""),
    TAKEN: (ObjectChanged, ""),
    "BadDigest": (RequestRefused, "The bytes do not have the stated MD5: send them again."),
    "InvalidPart": (RequestRefused, "A part was not written, or has other bytes: write it again."),
    "InvalidPartOrder": (RequestRefused, "The parts of an object ascend by their numbers."),
    "EntityTooSmall": (RequestRefused, "Only the last part may have less than 5 MiB."),
    "KeyTooLongError": (RequestRefused, "The key is too long for this S3: choose a shorter one."),
}
"""What a code of S3 means for an object of a user; see `refusal` for the others."""

FAULTS: Final = (
    Fault(NO_KEY, "there is no such blob", kind=BlobMissing),
    Fault(NO_BUCKET, "there is no such bucket: make it, or correct its name"),
    Fault("InvalidBucketName", "no bucket can have this name: correct it"),
    Fault("BucketAlreadyExists", "the bucket is another account's: choose another name"),
    Fault(NOTHING_THERE, "there is no such bucket, or it does not know our access key"),
    Fault("400", "it finds the request wrong: check region and credentials"),
    Fault("AccessDenied", _RIGHTS),
    Fault("403", _RIGHTS),
    Fault("AllAccessDisabled", _RIGHTS),
    Fault("AccountProblem", "it has a problem with our account: ask who runs it"),
    Fault("InvalidAccessKeyId", _ACCESS_KEY),
    Fault("XAdminUserNotFound", _ACCESS_KEY),
    Fault("SignatureDoesNotMatch", "our secret key is not the access key's: correct it"),
    Fault("RequestTimeTooSkewed", "its clock and ours differ: set this machine's clock"),
    Fault("ExpiredToken", _EXPIRED),
    Fault("InvalidToken", _EXPIRED),
    Fault("TokenRefreshRequired", _EXPIRED),
    Fault("AuthorizationHeaderMalformed", _REGION),
    Fault("PermanentRedirect", _REGION),
    Fault("TemporaryRedirect", "the bucket is being moved: try again"),
    Fault("IllegalLocationConstraintException", _REGION),
    Fault("InvalidLocationConstraint", "it has no such region: correct the server's"),
    Fault("301", _REGION),
    Fault("SlowDown", _BUSY),
    Fault("RequestLimitExceeded", _BUSY),
    Fault("TooManyRequests", _BUSY),
    Fault("ServiceUnavailable", _BUSY),
    Fault("429", _BUSY),
    Fault("503", _BUSY),
    *(Fault(code, "the blob is being written: try again") for code in sorted(BEING_WRITTEN)),
    Fault("InternalError", _BROKEN),
    Fault("500", _BROKEN),
    Fault("502", _BROKEN),
    Fault("504", _SLOW),
    Fault("RequestTimeout", _SLOW),
    Fault("IncompleteBody", _CUT),
    Fault("BadDigest", _DAMAGED),
    Fault("XAmzContentSHA256Mismatch", _DAMAGED),
    Fault("QuotaExceeded", _FULL),
    Fault("InsufficientCapacity", _FULL),
    Fault("NoSuchUpload", "it gave up a blob half written: try again"),
    Fault(
        "KeyTooLongError", "the blob's name is too long: choose a shorter one", kind=RequestRefused
    ),
    Fault("EntityTooLarge", "the blob is too large: divide it", kind=RequestRefused),
    Fault("EntityTooSmall", "a part of the blob is too small", kind=RequestRefused),
    Fault("MethodNotAllowed", "it cannot do that: it is not S3, or lets itself be read only"),
    Fault("NotImplemented", "it cannot do that: use an S3 with conditional writes"),
    Fault(EndpointConnectionError, "nothing answers there: is it running?"),
    Fault(ConnectTimeoutError, "nothing answers there: is it running and reachable?"),
    Fault(ProxyConnectionError, "the proxy does not answer: is it running?"),
    Fault(SSLError, "its certificate does not hold: name the file of who signed it"),
    Fault(ReadTimeoutError, _SLOW),
    Fault(ConnectionClosedError, _CUT),
    Fault(ResponseStreamingError, _CUT),
    Fault(IncompleteReadError, _CUT),
    Fault(HTTPClientError, "it cannot be asked: check its address and certificate file"),
    Fault(FlexibleChecksumError, _DAMAGED),
    Fault(NoCredentialsError, _NONE),
    Fault(PartialCredentialsError, _NONE),
    Fault(CredentialRetrievalError, "our credentials cannot be had: try again"),
    Fault(MetadataRetrievalError, "our credentials cannot be had: try again"),
    Fault(ResponseParserError, "its answer cannot be read: is it S3 that answers?"),
    Fault(HTTPError, _CUT),
    Fault(BotoCoreError, _SETTINGS),
    Fault(ValueError, _SETTINGS),
    Fault(Exception, "its answer is unknown: see its log"),
)
"""In order: a class comes before the classes it is derived from."""


def code_of(error: Exception) -> str:
    """Return the code that S3 answered with, or "" if there was no answer.

    >>> code_of(ClientError({"Error": {"Code": "SlowDown"}}, "PutObject"))
    'SlowDown'
    """
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "no code"))
    return ""


def refusal(error: Exception, where: str) -> PiCloudError:
    """Return the error for an exception of botocore's, in one sentence that says what to do.

    >>> print(refusal(ClientError({"Error": {"Code": "SlowDown"}}, "PutObject"), "S3 at a:1"))
    S3 at a:1: it is too busy now: try again (SlowDown)
    """
    return error_for(error, where, FAULTS, code_of(error))
