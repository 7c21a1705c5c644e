"""Endpoints as they were found: read from the state store, or only known from memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from picloud_model.errors import EndpointNotFound, nearest_name
from picloud_model.wire.application import APPLICATION

from picloud_api.store.rest_record import endpoint_key

if TYPE_CHECKING:
    from picloud_api.store.rest_record import EndpointAccess, EndpointRecord
    from picloud_api.store.view import View


class EndpointChanged(Exception):
    """An endpoint that was only known from memory has changed; nothing was submitted."""


class FoundEndpoint(NamedTuple):
    """Who may call an endpoint, and a version of it.

    One that `is_remembered` may be old, as other processes change endpoints, too: the transaction
    that makes the job of a call checks that it is still current.
    """

    access: EndpointAccess
    record: EndpointRecord
    is_remembered: bool = False

    @property
    def is_app(self) -> bool:
        """Whether it is an application, not a function."""
        return self.record.out_encoding == APPLICATION


async def existing(
    view: View, account: str, record: EndpointRecord | None, label: str
) -> EndpointRecord:
    """Return the record of an endpoint that its own account has named.

    Raises:
        EndpointNotFound: When there is none; it proposes a label of the account that is similar.
    """
    if record is None:
        raise not_published(label, nearest_name(label, await view.names(endpoint_key(account))))
    return record


def not_published(label: str, near: str | None = None) -> EndpointNotFound:
    """Return the error about a label under which an account has no endpoint.

    >>> not_published("aera", "area").message
    "No function is published as 'aera' in your account; did you mean 'area'?"
    """
    end = f"; did you mean {near!r}?" if near else "."
    message = f"No function is published as {label!r:.80} in your account{end}"
    return EndpointNotFound(message, field="label")
