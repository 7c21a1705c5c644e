"""Checking messages that are to be pushed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from picloud_model.errors import RequestRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_model.wire.queue import QueueMessage


def blobs_of(messages: Sequence[QueueMessage]) -> list[str]:
    """Return the digests of the blobs among some messages.

    Raises:
        RequestRefused: When a message has not exactly one content, or no valid JSON.
    """
    digests = []
    for index, message in enumerate(messages):
        contents = (message.json, message.pickled, message.blob)
        if sum(content is not None for content in contents) != 1:
            raise RequestRefused(
                f"Message {index} must have one of `json`, `pickled` and `blob`.", field="messages"
            )
        if message.pickled is not None and message.envelope is None:
            raise RequestRefused(
                f"Message {index} is a pickle and needs an `envelope`.", field="messages"
            )
        if message.json is not None:
            _require_json(index, message.json)
        if message.blob is not None:
            digests.append(message.blob.digest)
    return digests


def _require_json(index: int, text: str) -> None:
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise RequestRefused(
            f"The `json` of message {index} is not valid JSON: {error}", field="messages"
        ) from error
