"""Messages: any value comes back, large ones through blobs."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, cast

import pytest
from cloud._client.queue_messages import packed, unpacked
from cloud._packing.packer import Packer
from cloud.errors import CloudException
from picloud_model.wire.queue import MESSAGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cloud._client.client import Client
    from picloud_model.wire import Content


class Blobs:
    """Blobs in memory."""

    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}

    def ensure(self, sources: Mapping[str, bytes]) -> None:
        self.stored.update(sources)

    def fetch(self, contents: Sequence[Content]) -> Iterator[bytes]:
        return (self.stored[content.digest] for content in contents)


class Memory:
    """The parts of a client that messages use."""

    def __init__(self) -> None:
        self.blobs = Blobs()
        self.packer = Packer()


@pytest.fixture
def memory() -> Memory:
    """A client without a server."""
    return Memory()


def client_of(memory: Memory) -> Client:
    """Return it as a client."""
    return cast("Any", memory)


@pytest.mark.parametrize("encoding", ["pickle", "json"])
@pytest.mark.parametrize("size", [0, 10, MESSAGE_BYTES - 60, MESSAGE_BYTES + 1, 1_000_000])
def test_messages_of_any_size_come_back(memory: Memory, encoding: str, size: int) -> None:
    """What is larger than a message may be is a blob."""
    client = client_of(memory)
    values = [None, [1, {"a": "ä"}], "x" * size]

    messages = packed(client, values, encoding)

    assert unpacked(client, messages) == values
    assert len(memory.blobs.stored) == (size > MESSAGE_BYTES)


def test_equal_large_messages_have_blobs_of_their_own(memory: Memory) -> None:
    """One can be deleted without the other."""
    packed(client_of(memory), ["x" * 100_000] * 3, "pickle")

    assert len(memory.blobs.stored) == 3


def test_many_messages_fit_into_one_request(memory: Memory) -> None:
    """When they are too large together, they become blobs, so that all are pushed or none."""
    messages = packed(client_of(memory), ["x" * 50_000] * 800, "json")

    assert sum(len(message.json or "") for message in messages) <= 12_000_000
    assert unpacked(client_of(memory), messages[:1]) == ["x" * 50_000]


def test_a_function_is_a_message(memory: Memory) -> None:
    """As an argument of a job would be."""
    client, base = client_of(memory), 40

    (add,) = unpacked(client, packed(client, [lambda x: x + base], "pickle"))

    assert add(2) == 42


def test_what_cannot_be_encoded_is_named(memory: Memory) -> None:
    """With the position of the message, and the part of it."""
    client = client_of(memory)
    with pytest.raises(CloudException, match=r"message 1: .*'lock'"):
        packed(client, [1, {"lock": threading.Lock()}], "pickle")
    for value in ({1, 2}, float("nan")):
        with pytest.raises(CloudException, match="Cannot write message 2 as JSON"):
            packed(client, [1, 2, value], "json")
