"""`/r/ACCOUNT/LABEL`: the operations on published functions and applications."""

from __future__ import annotations

from typing import Final

from picloud_model.wire.rest import OriginalCall, OriginalEndpoint

from picloud_api.resources.endpoint_call import VERBS, EndpointCallResource
from picloud_api.resources.route import Credential, Route

_ONE: Final = "/r/{account}/{label}"
_ADDRESSES: Final[dict[str, tuple[str, ...]]] = {
    _ONE: VERBS,
    f"{_ONE}/v/{{version}}": VERBS,
    f"{_ONE}/jobs/{{call}}": ("GET",),
    f"{_ONE}/openapi": ("GET",),
    f"{_ONE}/v/{{version}}/{{path}}": (),
    f"{_ONE}/{{path}}": (),
}
"""The addresses below an endpoint, and the methods that a function has there."""
_PREFLIGHT: Final = (
    "Return what scripts of a web page of another origin may send to this address; a public "
    "application answers itself."
)
_PASSED_ON: Final = (
    "Send a request to a published application, which gets its method, path, headers and body. A "
    "function has no such address."
)


def _route(
    verb: str,
    address: str,
    answer: type | None,
    summary: str,
    *,
    pending: bool = False,
    credential: Credential = Credential.BASIC,
) -> Route:
    return Route(
        verb=verb,
        address=address,
        resource=EndpointCallResource,
        answer=answer,
        credential=credential,
        may_be_pending=pending,
        summary=summary,
    )


ROUTES: Final = (
    _route(
        "GET",
        "/r/{account}/{label}",
        OriginalEndpoint,
        "Describe a published function: its parameters.",
    ),
    _route(
        "POST",
        "/r/{account}/{label}",
        OriginalCall,
        "Call a published function; a public one needs no key. The arguments are parameters of "
        "the address, a form, also with files, or an object of JSON. The answer has the jid of the "
        "job; with `Prefer: wait=SECONDS` it has the result, too, if the job ends by then.",
        pending=True,
    ),
    _route(
        "GET",
        "/r/{account}/{label}/v/{version}",
        OriginalEndpoint,
        "Describe a version of a published function: its parameters.",
    ),
    _route(
        "POST",
        "/r/{account}/{label}/v/{version}",
        OriginalCall,
        "Call a version of a published function, as its current version is called.",
        pending=True,
    ),
    _route(
        "GET",
        "/r/{account}/{label}/jobs/{call}",
        OriginalCall,
        "Return the result of a call, whose response named this address as its Location.",
        pending=True,
    ),
    _route(
        "GET",
        "/r/{account}/{label}/openapi",
        None,
        "Return the OpenAPI document of a published function: its parameters and what it returns.",
    ),
    *(
        _route("OPTIONS", address, None, _PREFLIGHT, credential=Credential.NONE)
        for address in _ADDRESSES
    ),
    *(
        _route(verb, address, bytes, _PASSED_ON)
        for verb in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
        for address, verbs in _ADDRESSES.items()
        if verb not in verbs
    ),
)
