"""Attachments: the handlers of queues."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_model.wire import Answer
from picloud_model.wire import attachment as wire
from picloud_model.wire.queue import TicketsChecked

from cloud.errors import CloudException

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloud._http.transport import Transport

NOT_FOUND: Final = "attachment.not_found"
"""The code of the error that a queue has no handler."""
REPLACED: Final = "attachment.replaced"
"""The code of the error that a handler is no longer attached."""


class AttachmentClient:
    """Attaches and detaches handlers, and sends what they made of messages."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def attach(self, request: wire.AttachRequest) -> wire.AttachmentInfo:
        """Attach a handler to a queue, in place of an earlier one."""
        return self._transport.post("/v1/attachments", request, wire.AttachmentInfo)

    def update(self, request: wire.UpdateAttachmentRequest) -> wire.AttachmentInfo:
        """Change a handler while it works."""
        return self._transport.post("/v1/attachments/update", request, wire.AttachmentInfo)

    def detach(self, queue: str) -> None:
        """Detach the handler of a queue, if it has one."""
        body = wire.AttachmentRequest(queue=queue)
        self._transport.post("/v1/attachments/delete", body, Answer)

    def find(self, queue: str) -> wire.AttachmentInfo | None:
        """Return what is known of the handler of a queue; None if it has none."""
        body = wire.AttachmentRequest(queue=queue)
        try:
            return self._transport.post("/v1/attachments/info", body, wire.AttachmentInfo)
        except CloudException as error:
            if error.code != NOT_FOUND:
                raise
            return None

    def list(self) -> Sequence[wire.AttachmentInfo]:
        """Return all attachments, in the order of the names of their queues."""
        body = wire.AttachmentsRequest()
        return self._transport.post(
            "/v1/attachments/list", body, wire.AttachmentsListed
        ).attachments

    def handled(self, request: wire.HandledRequest) -> set[int]:
        """Push what a handler made of messages, then remove these.

        Returns:
            The positions of tickets that are no longer valid; if there are any, nothing was done.
        """
        checked = self._transport.post("/v1/attachments/handled", request, TicketsChecked)
        return set(checked.expired)
