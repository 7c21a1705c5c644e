"""What is known of a published function, as `cloud.rest.info` returns it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloud._endpoints.argument_type import type_of

if TYPE_CHECKING:
    from picloud_model.wire.rest import EndpointInfo


def as_dictionary(found: EndpointInfo, server: str) -> dict[str, Any]:
    """Return an endpoint of the server at an URL, as a dict."""
    return {
        "label": found.label,
        "url": f"{server}{found.path}",
        "function": found.function_name,
        "published": found.published_at,
        "parameters": {
            each.name: {"type": type_of(each), "required": each.required}
            for each in found.parameters
        },
        "takes_any": found.takes_any,
        "out_encoding": found.out_encoding,
        "content_type": found.content_type or None,
        "version": found.version,
        "versions": found.versions,
        "public": found.public,
        "calls_per_minute": found.calls_per_minute or None,
        "origins": found.origins,
        "warm": found.warm,
    }
