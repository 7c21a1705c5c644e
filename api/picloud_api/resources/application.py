"""Requests to published applications: what is passed on to them, and their responses."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Final

from falcon.util.uri import encode
from picloud_model.wire.application import AppRequest
from picloud_model.wire.rest import MAX_UPLOAD_BYTES

from picloud_api.resources.body import read_bytes
from picloud_api.usecases.rest.call_result import CallResult

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from falcon.asgi import Request, Response

    from picloud_api.usecases.rest.application import AppResponse

_OWN_COOKIES: Final = "picloud_"
"""What the names of the cookies of this server's web pages begin with."""
_KEY_NAME: Final = re.compile(r"(?:pk_)?r?[0-9a-f]{12}")
"""The id of an API key, or of a key of an endpoint."""
_NUMBER: Final = re.compile(r"[0-9]{1,18}")
_TOKEN: Final = re.compile(r"p[a-z]_")
"""What keys and tokens of this server begin with."""
_OF_A_CONNECTION: Final = frozenset((
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection",
    "te", "trailer", "transfer-encoding", "upgrade",
))  # fmt: skip
"""Headers that are for the next receiver only."""
_OF_THIS_SERVER: Final = _OF_A_CONNECTION | {
    "alt-svc", "clear-site-data", "content-length", "date", "nel", "report-to", "server",
    "service-worker-allowed", "strict-transport-security",
}  # fmt: skip
"""Headers of responses that are not an application's, as others share its origin."""
_SANDBOX: Final = "sandbox allow-downloads allow-forms allow-modals allow-popups allow-scripts"
"""So that a page of an application is a site of its own, and not one of this server."""


def is_key(authorization: str) -> bool:
    """Return whether a credential is, or may be, one of this server.

    Others are those of an application that checks its users itself.

    >>> is_key("Bearer pk_0123456789ab_x"), is_key("Bearer eyJhbGciOi"), is_key("Basic QWRhOng=")
    (True, False, False)
    """
    kind, _, credential = authorization.partition(" ")
    if kind.lower() == "basic":
        try:
            pair = base64.b64decode(credential.strip(), validate=True).decode()
        except ValueError:
            return False
        return _KEY_NAME.fullmatch(pair.partition(":")[0]) is not None
    return _TOKEN.match(credential.strip()) is not None


async def read_request(request: Request, root: str, *, is_guest: bool) -> AppRequest:
    """Return a request as an application gets it.

    Args:
        request: The request.
        root: The path of the endpoint.
        is_guest: Whether it sent no credential of this server; one that it sent is removed.

    Raises:
        TooLarge: When its body is larger than a form with files may be.
    """
    headers = [
        [name, value]
        for name, value in _received(request)
        if name not in _OF_A_CONNECTION and (is_guest or name != "authorization")
    ]
    scope = request.scope
    path = scope.get("raw_path", b"").decode("latin-1").partition("?")[0]
    if not path.startswith(root):
        path = encode(scope["path"])
    return AppRequest(
        method=request.method,
        scheme=request.forwarded_scheme,
        root=root,
        path=path.removeprefix(root) or "/",
        query=request.query_string,
        headers=headers,
        body=await read_bytes(request, MAX_UPLOAD_BYTES),
    )


def _received(request: Request) -> list[tuple[str, str]]:
    """Return the headers of a request without cookies of this server's web pages."""
    found = []
    for name, value in request.scope["headers"]:
        header, text = name.decode("latin-1").lower(), value.decode("latin-1")
        if header == "cookie":
            pairs = [each.strip() for each in text.split(";")]
            text = "; ".join(each for each in pairs if not each.startswith(_OWN_COOKIES))
            if not text:
                continue
        found.append((header, text))
    return found


def write_response(response: Response, root: str, answer: AppResponse, *, is_head: bool) -> None:
    """Reply with the response of an application.

    Its cookies are sent to the endpoint only, and its pages share nothing with other pages of this
    server.

    Args:
        response: The reply.
        root: The path of the endpoint.
        answer: The response.
        is_head: Whether the request has the method HEAD: then the application names the length of
            a body that it leaves out.
    """
    response.status = answer.head.status
    response.content_type = answer.body.content_type
    for name, value in answer.head.headers:
        lower = name.lower()
        if lower in _OF_THIS_SERVER or lower == "content-type":
            continue
        if lower == "set-cookie":
            if not value.strip().startswith(_OWN_COOKIES):
                response.append_header(name, own_cookie(value, root))
        else:
            response.append_header(name, value)
    response.append_header("Content-Security-Policy", _SANDBOX)
    response.set_header("X-Content-Type-Options", "nosniff")
    body = answer.body
    if is_head:
        _write_length(response, answer)
    elif isinstance(body, CallResult):
        response.data = body.data
    else:
        response.set_stream(body.pieces, body.size or 0)


def _write_length(response: Response, answer: AppResponse) -> None:
    """Reply without a body, with the length that it would have if that is known."""
    body = answer.body
    size = len(body.data) if isinstance(body, CallResult) else body.size
    named = [value for name, value in answer.head.headers if name.lower() == "content-length"]
    if named and _NUMBER.fullmatch(named[0]):
        response.set_header("Content-Length", named[0])
    elif size:
        response.set_header("Content-Length", str(size))
    else:
        response.stream = _nothing()  # or Falcon would say that the body has no bytes


async def _nothing() -> AsyncIterator[bytes]:
    """Yield no bytes."""
    return
    yield b""


def own_cookie(value: str, root: str) -> str:
    """Return a cookie of an application, which browsers send to its endpoint only.

    >>> own_cookie("a=b; Path=/; HttpOnly; Domain=example.org", "/r/a1/shop")
    'a=b; HttpOnly; Path=/r/a1/shop'
    """
    pair, *attributes = [each.strip() for each in value.split(";")]
    kept = [
        each
        for each in attributes
        if each.partition("=")[0].strip().lower() not in {"path", "domain"}
    ]
    return "; ".join([pair, *kept, f"Path={root}"])
