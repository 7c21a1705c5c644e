"""What publishes functions, applications and commands whose options have been read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from picloud_model.wire.rest import PublishRequest

from cloud._arguments.option_values import short_label
from cloud._client.current import client
from cloud._resources.rest import EndpointClient
from cloud.errors import CloudValueError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloud._arguments.options import CallOptions
    from cloud._endpoints.access import Access
    from cloud._endpoints.encoding import Encoding
    from cloud._endpoints.parameters import Signature


def publish_job(
    func: Callable[..., Any],
    label: str,
    signature: Signature,
    encoding: Encoding,
    options: CallOptions,
    *,
    access: Access,
) -> str:
    """Publish a function whose parameters and options have been read; return its URL."""
    if options.needs_submitter:
        raise CloudValueError(
            "A published function has no _depends_on, _callback or _callback_on_error."
        )
    checked, current = short_label(label), client()
    # Each call replaces these arguments by its own.
    stand_ins = {each.name: None for each in signature.parameters if each.required}
    request = PublishRequest(
        label=checked,
        parameters=signature.parameters,
        takes_any=signature.takes_any,
        out_encoding=encoding.name,
        content_type=encoding.content_type,
        public=access.public,
        calls_per_minute=access.calls_per_minute,
        origins=[*access.origins],
        warm=access.warm,
        job=current.prepare_call(func, options, stand_ins),
    )
    return f"{current.address.url}{EndpointClient(current.transport).publish(request).path}"
