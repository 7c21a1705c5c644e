"""Endpoints: requests and answers about functions that are published as web services."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from picloud_model.wire.argument_type import ArgumentType
from picloud_model.wire.body import Answer, RemovalId, Request, ShortLabel, SubmitId
from picloud_model.wire.job import SubmitRequest
from picloud_model.wire.original import OriginalAnswer

MAX_CONTENT_TYPE: Final = 100
"""Longest content type of results, in characters."""
MAX_ENDPOINTS: Final = 1000
"""Most endpoints of an account."""
MAX_VERSIONS: Final = 10
"""Most versions of an endpoint that are kept."""
MAX_PARAMETERS: Final = 100
"""Most parameters of a published function."""
MAX_CALLS: Final = 1000
"""Most calls of one request."""
MAX_ENDPOINT_KEYS: Final = 100
"""Maximum number of keys that an endpoint has of its own."""
MAX_CALLS_PER_MINUTE: Final = 1_000_000
"""Largest rate limit of an endpoint."""
MAX_WARM: Final = 100
"""Most slots that an endpoint keeps running."""
MAX_ORIGINS: Final = 20
"""Maximum number of origins whose pages may call an endpoint."""
MAX_CALL_BYTES: Final = 192 * 1024
"""The largest arguments of the calls of a request, in bytes: they are kept in the state store."""

MAX_UPLOAD_BYTES: Final = 16 * 1024 * 1024
"""The largest form with files: what does not fit into the state store is a blob."""

FORM: Final = "application/x-www-form-urlencoded"
"""The content type of arguments that a form sends."""
FILES: Final = "multipart/form-data"
"""The content type of arguments that a form with files sends."""

OutEncoding = Literal["json", "raw", "pickle", "app"]
"""How results are returned: as JSON, as the bytes or the text that they are, or pickled; those of
an application are the responses to its requests."""
ContentType = Annotated[str, Meta(pattern=r"^[ -~]*$(?!\n)", max_length=MAX_CONTENT_TYPE)]
Origin = Annotated[
    str,
    Meta(pattern=r"^(\*|https?://[a-z0-9.-]{1,253}(:[0-9]{1,5})?)$(?!\n)", max_length=270),
]
"""The origin of web pages as browsers send it, `https://example.org`; `*` is each one."""
ParameterName = Annotated[str, Meta(min_length=1, max_length=100)]
ParameterKind = Literal[
    "any", "bool", "int", "float", "str", "text", "bytes", "list", "dict", "typed"
]
"""What an argument must be; "any" is each value of JSON, "text" text or a number as text, "bytes" a
file or base64, and "typed" what the type of the parameter says."""


class Parameter(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """A parameter of a published function. A `nullable` one takes null, too."""

    name: ParameterName
    kind: ParameterKind = "any"
    required: bool = True
    nullable: bool = False
    type: ArgumentType | None = None
    """That of an argument of the kind "typed"."""

    def __post_init__(self) -> None:
        """Check that a parameter has a type if its kind says so."""
        if (self.kind == "typed") != (self.type is not None):
            raise ValueError("A parameter of the kind 'typed', and no other one, must have a type.")


class PublishRequest(Request, frozen=True, kw_only=True):
    """Publish a function: `POST /v1/rest`. It replaces the endpoint of the same label.

    `job` is what each call submits, with a `submit_id` and arguments of its own; its `submit_id`
    identifies this request, which may be repeated. It is a call without dependencies. With
    `takes_any` the function takes arguments of other names than those of its `parameters`, too.
    `content_type` is that of raw results; if it is "", the type of the result decides. Everybody
    may call a `public` endpoint. Its URL takes `calls_per_minute`, any number if it is 0. Scripts
    of web pages of these `origins` may read what it returns. `warm` slots are kept running for it.
    """

    label: ShortLabel
    parameters: Annotated[list[Parameter], Meta(max_length=MAX_PARAMETERS)] = []
    takes_any: bool = False
    out_encoding: OutEncoding = "json"
    content_type: ContentType = ""
    public: bool = False
    calls_per_minute: Annotated[int, Meta(ge=0, le=MAX_CALLS_PER_MINUTE)] = 0
    origins: Annotated[list[Origin], Meta(max_length=MAX_ORIGINS)] = []
    warm: Annotated[int, Meta(ge=0, le=MAX_WARM)] = 0
    job: SubmitRequest


class EndpointRequest(Request, frozen=True):
    """Name an endpoint: `POST /v1/rest/info`, `POST /v1/rest/keys/list`."""

    label: ShortLabel


class RemoveEndpointRequest(Request, frozen=True):
    """Remove an endpoint: `POST /v1/rest/remove`.

    A request that repeats a `request_id` changes nothing.
    """

    label: ShortLabel
    request_id: RemovalId = None


class EndpointsRequest(Request, frozen=True):
    """List all endpoints: `POST /v1/rest/list`."""


class InvokeRequest(Request, frozen=True):
    """Call a published function: `POST /v1/rest/invoke`. A repeated request returns the same jids.

    Each of the `calls` is a job; it has the arguments, plain values, by name. The `version` 0 is
    the current one.
    """

    label: ShortLabel
    submit_id: SubmitId
    calls: Annotated[list[dict[str, Any]], Meta(min_length=1, max_length=MAX_CALLS)]
    version: Annotated[int, Meta(ge=0)] = 0


class EndpointInfo(Answer, frozen=True, kw_only=True):
    """A published function: its `path` on the server, its parameters and when it was published."""

    label: str
    path: str
    function_name: str
    parameters: list[Parameter] = []
    takes_any: bool = False
    out_encoding: str = "json"
    content_type: str = ""
    published_at: float
    version: int = 1
    versions: list[int] = []
    """All versions that are kept, in order."""
    public: bool = False
    calls_per_minute: int = 0
    origins: list[str] = []
    warm: int = 0


class RollbackRequest(Request, frozen=True):
    """Make another version of an endpoint the current one: `POST /v1/rest/rollback`."""

    label: ShortLabel
    version: Annotated[int, Meta(ge=1)]


class Invoked(Answer, frozen=True):
    """The jids of calls, `first .. first+count-1`, and the version that was called."""

    first: int
    count: int
    version: int = 1


class EndpointsListed(Answer, frozen=True):
    """All endpoints of an account, in the order of their labels."""

    endpoints: list[EndpointInfo]


class EndpointKeyRequest(Request, frozen=True):
    """Make a key that calls one endpoint and nothing else: `POST /v1/rest/keys`.

    `request_id` is a secret UUID in hex; a request that repeats it gets the same key.
    """

    label: ShortLabel
    request_id: SubmitId


class EndpointKeyMade(Answer, frozen=True):
    """A new key of an endpoint. Its secret is shown only now."""

    id: str
    secret: str

    def __repr__(self) -> str:
        return f"EndpointKeyMade(id={self.id!r})"


class RevokeEndpointKeyRequest(Request, frozen=True):
    """Revoke a key of an endpoint, by its id: `POST /v1/rest/keys/revoke`.

    A request that repeats a `request_id` changes nothing.
    """

    label: ShortLabel
    key: Annotated[str, Meta(max_length=100)]
    request_id: RemovalId = None


class ListedEndpointKey(Answer, frozen=True):
    """A key of an endpoint without its secret."""

    id: str
    created_at: float


class EndpointKeysListed(Answer, frozen=True):
    """The keys of an endpoint, oldest first."""

    keys: list[ListedEndpointKey]


class OriginalEndpoint(OriginalAnswer, frozen=True):
    """A published function: `GET /r/ACCOUNT/LABEL`; `version` is that of the interface."""

    label: str
    published_version: int
    function: str
    parameters: list[Parameter]
    takes_any: bool


class OriginalCall(OriginalAnswer, frozen=True):
    """The job of a call of a published function, and its result if the request waited for it."""

    jid: int
    result: Any | msgspec.UnsetType = msgspec.UNSET
