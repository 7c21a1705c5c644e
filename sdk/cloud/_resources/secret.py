"""Secrets of an account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_model.wire import Answer
from picloud_model.wire.secret import (
    ListedSecret,
    SecretRequest,
    SecretsListed,
    SecretsRequest,
    SetSecretRequest,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloud._http.transport import Transport


class SecretClient:
    """Sets, lists and removes secrets; nothing returns their values."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def set(self, name: str, values: Mapping[str, str], *, as_file: bool) -> None:
        """Store a secret under a name."""
        request = SetSecretRequest(name=name, values=dict(values), as_file=as_file)
        self._transport.post("/v1/secrets", request, Answer)

    def list(self) -> list[ListedSecret]:
        """Return all secrets by name, without their values."""
        return self._transport.post("/v1/secrets/list", SecretsRequest(), SecretsListed).secrets

    def remove(self, name: str) -> None:
        """Remove a secret."""
        self._transport.post("/v1/secrets/remove", SecretRequest(name=name), Answer)
