"""Messages of queues: values that are pickled or written as JSON, large ones as blobs."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Final

from picloud_model.wire.queue import MESSAGE_BYTES, QueueMessage

from cloud._packing.errors import PackingError
from cloud._resources.blob import content_of
from cloud.errors import CloudException

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from picloud_model.pack import Envelope

    from cloud._client.client import Client

PICKLE: Final = "pickle"
JSON: Final = "json"
ENCODINGS: Final = (PICKLE, JSON)
_SALT_BYTES: Final = 16
"""Random bytes before the content: the blob is deleted with its message, so no other use of equal
bytes may have the same blob."""
_PUSH_BYTES: Final = 12_000_000
"""Maximum number of bytes of messages in one request; above that the larger ones become blobs."""


def packed(client: Client, values: Iterable[Any], encoding: str) -> list[QueueMessage]:
    """Return messages to push; the blobs of large ones were uploaded.

    Raises:
        CloudException: When a value cannot be encoded; says which, and which part of it.
    """
    contents = [
        encoded(client, value, encoding, f"message {index}") for index, value in enumerate(values)
    ]
    return messages_of(client, contents, encoding, len(contents))


def encoded(client: Client, value: Any, encoding: str, what: str) -> bytes:
    """Return the content of a message.

    Raises:
        CloudException: When the value, which is called `what`, cannot be encoded.
    """
    if encoding == JSON:
        return _as_json(value, what)
    try:
        return client.packer.value(value, what)
    except PackingError as error:
        raise CloudException(str(error)) from error


def messages_of(
    client: Client, contents: Sequence[bytes], encoding: str, count: int
) -> list[QueueMessage]:
    """Return messages to push, `count` of them in one request; blobs of large ones are uploaded."""
    envelope = None if encoding == JSON else client.packer.envelope
    most = min(MESSAGE_BYTES, max(1, _PUSH_BYTES // max(1, count)))
    blobs: dict[str, bytes] = {}
    messages = [_message(content, envelope, most, blobs) for content in contents]
    if blobs:
        client.blobs.ensure(blobs)
    return messages


def _message(
    content: bytes, envelope: Envelope | None, most: int, blobs: dict[str, bytes]
) -> QueueMessage:
    """Return a message; a large one is added to the blobs."""
    if len(content) > most:
        data = os.urandom(_SALT_BYTES) + content
        blob = content_of(data)
        blobs[blob.digest] = data
        return QueueMessage(blob=blob, envelope=envelope)
    if envelope is None:
        return QueueMessage(json=content.decode())
    return QueueMessage(pickled=content, envelope=envelope)


def unpacked(client: Client, messages: Sequence[QueueMessage]) -> list[Any]:
    """Return the values of messages.

    Raises:
        CloudException: When one cannot be read.
    """
    large = [message.blob for message in messages if message.blob is not None]
    fetched = client.blobs.fetch(large)
    values = []
    for message in messages:
        content: bytes | memoryview | None = message.pickled
        if message.blob is not None:
            content = memoryview(next(fetched))[_SALT_BYTES:]
        elif message.json is not None:
            content = message.json.encode()
        values.append(_value(client, content or b"", message.envelope))
    return values


def _value(client: Client, content: bytes | memoryview, envelope: Envelope | None) -> Any:
    if envelope is None:
        return json.loads(bytes(content))
    try:
        return client.packer.result(content, envelope, "message")
    except PackingError as error:
        raise CloudException(str(error)) from error


def _as_json(value: object, what: str) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise CloudException(f"Cannot write {what} as JSON: {error}.") from error
