"""Endpoints of an account."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from picloud_model.wire.rest import (
    EndpointInfo,
    EndpointKeyMade,
    EndpointKeyRequest,
    EndpointKeysListed,
    EndpointRequest,
    EndpointsListed,
    EndpointsRequest,
    Invoked,
    InvokeRequest,
    ListedEndpointKey,
    RemoveEndpointRequest,
    RevokeEndpointKeyRequest,
    RollbackRequest,
)

from cloud._http.transport import post_removal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_model.wire.rest import PublishRequest

    from cloud._http.transport import Transport


class EndpointClient:
    """Publishes functions, calls, lists and removes them."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def publish(self, request: PublishRequest) -> EndpointInfo:
        """Publish a function."""
        return self._transport.post("/v1/rest", request, EndpointInfo)

    def remove(self, label: str) -> None:
        """Remove an endpoint."""
        post_removal(self._transport, "/v1/rest/remove", RemoveEndpointRequest(label=label))

    def list(self) -> list[EndpointInfo]:
        """Return all endpoints, in the order of their labels."""
        return self._transport.post("/v1/rest/list", EndpointsRequest(), EndpointsListed).endpoints

    def info(self, label: str) -> EndpointInfo:
        """Return what is known of an endpoint."""
        return self._transport.post("/v1/rest/info", EndpointRequest(label=label), EndpointInfo)

    def rollback(self, label: str, version: int) -> EndpointInfo:
        """Make another version the current one."""
        request = RollbackRequest(label=label, version=version)
        return self._transport.post("/v1/rest/rollback", request, EndpointInfo)

    def create_key(self, label: str) -> EndpointKeyMade:
        """Create a key of an endpoint."""
        request = EndpointKeyRequest(label=label, request_id=os.urandom(16).hex())
        return self._transport.post("/v1/rest/keys", request, EndpointKeyMade)

    def keys(self, label: str) -> Sequence[ListedEndpointKey]:
        """Return the keys of an endpoint, the oldest first."""
        request = EndpointRequest(label=label)
        return self._transport.post("/v1/rest/keys/list", request, EndpointKeysListed).keys

    def revoke_key(self, label: str, key: str) -> None:
        """Revoke a key of an endpoint."""
        request = RevokeEndpointKeyRequest(label=label, key=key)
        post_removal(self._transport, "/v1/rest/keys/revoke", request)

    def invoke(self, label: str, calls: Sequence[dict[str, Any]]) -> range:
        """Call a published function with each of up to `MAX_CALLS` arguments; return the jids."""
        submit_id = os.urandom(16).hex()
        request = InvokeRequest(label=label, submit_id=submit_id, calls=[*calls])
        answer = self._transport.post("/v1/rest/invoke", request, Invoked)
        return range(answer.first, answer.first + answer.count)
