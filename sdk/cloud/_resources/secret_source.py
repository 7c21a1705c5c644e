"""Secret sources of a server; its operator defines them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_model.wire import Answer
from picloud_model.wire.secret_source import (
    SecretSourceRequest,
    SecretSourcesListed,
    SecretSourcesRequest,
)

if TYPE_CHECKING:
    from picloud_model.wire.secret_source import PutSecretSourceRequest, SecretSource

    from cloud._http.transport import Transport


class SecretSourceClient:
    """Defines, lists and removes secret sources."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def put(self, request: PutSecretSourceRequest) -> None:
        """Define a source, in place of an earlier one."""
        self._transport.post("/v1/secret-sources", request, Answer)

    def list(self) -> list[SecretSource]:
        """Return all sources by name."""
        request = SecretSourcesRequest()
        return self._transport.post("/v1/secret-sources/list", request, SecretSourcesListed).sources

    def remove(self, name: str) -> None:
        """Remove a source."""
        self._transport.post("/v1/secret-sources/remove", SecretSourceRequest(name=name), Answer)
