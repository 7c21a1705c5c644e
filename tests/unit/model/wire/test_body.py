"""The bases of bodies, the types of their fields, and the body of an error."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from picloud_model import wire
from picloud_model.errors import BlobMissing, every_error
from picloud_model.pack import Envelope
from picloud_model.wire import body, bucket, queue, rest, volume


def _subclasses(kind: type) -> set[type]:
    return {kind}.union(*(_subclasses(child) for child in kind.__subclasses__()))


EARLIER = [
    (
        (
            "87a97375626d69745f6964d9203030303030303030303030303030303030303030303030303030303030303030a46b"
            "696e64a36d6170a5636f756e7403a8656e76656c6f706592a4332e3131a5332e312e30a866756e6374696f6e93a003"
            "c403616263ad66756e6374696f6e5f6e616d65a166a76f7074696f6e7381a56c6162656ca16c"
        ),
        wire.SubmitRequest(
            submit_id="0" * 32,
            kind="map",
            count=3,
            envelope=Envelope("3.11", "3.1.0"),
            function=wire.Content("", 3, b"abc"),
            function_name="f",
            options=wire.Options(label="l"),
        ),
    ),
    (
        (
            "84a46a69647391920103a974696d656f75745f73cb403e000000000000a87061796c6f616473c3a8737461747573"
            "657390"
        ),
        wire.WaitRequest(jids=[(1, 3)]),
    ),
    ("81a46a696473c0", wire.JobsRequest()),
    (
        (
            "82a97375626d69745f6964d9203030303030303030303030303030303030303030303030303030303030303030a5"
            "706172747390"
        ),
        wire.StageRequest(submit_id="0" * 32, parts=[]),
    ),
]
"""Requests as clients sent them on 29 November 2026, in hexadecimal, and what they mean."""


@pytest.mark.parametrize(("data", "request_"), EARLIER)
def test_a_request_of_an_earlier_client_means_the_same(data: str, request_: wire.Request) -> None:
    """Whatever was added to it since then has its default."""
    assert wire.decode(bytes.fromhex(data), type(request_)) == request_


@pytest.mark.parametrize("kind", sorted(_subclasses(wire.Request), key=lambda kind: kind.__name__))
def test_a_request_refuses_unknown_fields(kind: type[wire.Request]) -> None:
    """A misspelt field is an error, not a default."""
    with pytest.raises(msgspec.ValidationError, match=r"unknown field|missing required"):
        wire.decode(wire.encode({"misspelt": 1}), kind)


@pytest.mark.parametrize(
    "kind",
    [each for each in _subclasses(msgspec.Struct) if each.__module__.startswith(wire.__name__)],
    ids=lambda kind: kind.__name__,
)
def test_what_refuses_unknown_fields_omits_those_with_a_default(kind: type[msgspec.Struct]) -> None:
    """An older server serves a newer client that does not need a field which was added later."""
    config = kind.__struct_config__

    assert config.omit_defaults or not config.forbid_unknown_fields


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (body.ShortLabel, "nightly"),
        (body.SubmitId, "0" * 32),
        (queue.QueueName, "numbers"),
        (queue.Ticket, "ticket"),
        (rest.ContentType, "text/plain"),
        (volume.VolumeName, "data"),
        (bucket.OptionalMd5, ""),
        (bucket.UploadId, "upload-1"),
    ],
)
def test_a_line_break_is_part_of_no_name(kind: Any, text: str) -> None:
    """Nor at the end, where `$` alone matches before it: names get into headers and addresses."""
    assert msgspec.convert(text, kind) == text
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(f"{text}\n", kind)


@pytest.mark.parametrize("kind", _subclasses(wire.Answer), ids=lambda kind: kind.__name__)
def test_an_answer_ignores_unknown_fields(kind: type[wire.Answer]) -> None:
    """A newer server may send more."""
    assert not kind.__struct_config__.forbid_unknown_fields


@pytest.mark.parametrize("code", every_error())
def test_an_error_travels(code: str) -> None:
    """Code, message and field arrive."""
    error = every_error()[code]("No.", field="label")

    arrived = wire.Problem.of(error).error()

    assert (type(arrived), arrived.message, arrived.field) == (type(error), "No.", "label")


def test_missing_blobs_travel_with_their_error() -> None:
    """The client uploads them."""
    arrived = wire.Problem.of(BlobMissing(digests=("d1", "d2"))).error()

    assert isinstance(arrived, BlobMissing)
    assert arrived.digests == ("d1", "d2")


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        (wire.SubmitId, "0" * 32, "0" * 32 + "\n"),
        (wire.KeyId, "0" * 12, "0" * 11 + "G"),
        (wire.Digest, "f" * 64, "F" * 64),
        (wire.Jid, 1, 0),
        (wire.Jid, 2**53 - 1, 2**53),
        (wire.Timeout, wire.LONGEST_POLL_S, wire.LONGEST_POLL_S + 1),
    ],
)
def test_the_types_of_fields_are_checked(kind: object, right: object, wrong: object) -> None:
    """A value that cannot be one is refused when it is decoded."""
    assert msgspec.convert(right, kind) == right
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, kind)
