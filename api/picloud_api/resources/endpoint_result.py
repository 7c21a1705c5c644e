"""Results of calls of published functions, as responses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from picloud_model import wire
from picloud_model.wire.rest import OriginalCall

from picloud_api.usecases.rest.call_result import CallResult

if TYPE_CHECKING:
    from falcon.asgi import Response

    from picloud_api.usecases.rest.call_result import LargeCallResult


def write_result(response: Response, jid: int, result: CallResult | LargeCallResult | None) -> None:
    """Write the result of a call, or its jid if there is none yet."""
    if result is None or (isinstance(result, CallResult) and result.is_value):
        answer = OriginalCall(jid=jid)
        if result is None:
            response.status = 202
        else:
            answer = OriginalCall(jid=jid, result=msgspec.Raw(result.data))
        response.content_type = wire.JSON
        response.data = wire.encode(answer, wire.JSON)
        return
    response.content_type = result.content_type
    # What an endpoint returns must not become a page of this server's own.
    response.set_header("Content-Security-Policy", "sandbox")
    response.set_header("X-Content-Type-Options", "nosniff")
    if isinstance(result, CallResult):
        response.data = result.data
    elif result.size is None:
        response.stream = result.pieces
    else:
        response.set_stream(result.pieces, result.size)
