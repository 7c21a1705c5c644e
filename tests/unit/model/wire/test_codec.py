"""The codec: bodies in msgpack and JSON."""

from __future__ import annotations

import msgspec
import pytest
from picloud_model import wire


@pytest.mark.parametrize("media", [wire.MSGPACK, wire.JSON])
def test_a_body_is_read_as_it_was_written(media: str) -> None:
    """Bytes travel in both languages."""
    body = wire.StoreBlobsRequest(blobs=[b"\x00\xff", b""])

    assert wire.decode(wire.encode(body, media), wire.StoreBlobsRequest, media) == body


@pytest.mark.parametrize(
    ("media", "data"), [(wire.JSON, b'"\xd1"'), (wire.MSGPACK, b"\xa1\xd1"), (wire.JSON, b'"\xff')]
)
def test_a_text_that_is_not_utf_8_is_malformed(media: str, data: bytes) -> None:
    """It is the sender's error, as everything else that cannot be read."""
    with pytest.raises(msgspec.DecodeError):
        wire.decode(data, str, media)


@pytest.mark.parametrize(
    ("media", "data"),
    [
        (wire.JSON, b"[" * 100_000 + b"]" * 100_000),
        (wire.JSON, b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
        (wire.MSGPACK, b"\x91" * 100_000 + b"\x01"),
        (wire.MSGPACK, b"\x81\xa1a" * 100_000 + b"\x01"),
    ],
)
@pytest.mark.parametrize("kind", [object, wire.Problem])
def test_a_deeply_nested_value_is_malformed(media: str, data: bytes, kind: type) -> None:
    """No depth of a body, or of a field that is skipped, is an error of the reader."""
    fields = {wire.JSON: b'{"code":"c","message":"m","new":%s}'}
    fields[wire.MSGPACK] = b"\x83\xa4code\xa1c\xa7message\xa1m\xa3new%s"

    with pytest.raises(msgspec.DecodeError):
        wire.decode(fields[media] % data, kind, media)


def test_a_number_of_a_derived_class_is_written_as_the_number() -> None:
    """A job that a client names is its jid; anything else that is unknown is refused."""

    class Jid(int):
        pass

    for media in (wire.MSGPACK, wire.JSON):
        assert wire.decode(wire.encode([Jid(7), (Jid(8),)], media), list, media) == [7, [8]]
        with pytest.raises(NotImplementedError, match="object"):
            wire.encode([object()], media)
