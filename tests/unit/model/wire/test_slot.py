"""Bodies of slots: arrays whose order is their format."""

from __future__ import annotations

import msgspec
import pytest
from picloud_model import wire
from picloud_model.pack import Envelope

HERE = Envelope("3.11", "3.1")
CONTENT = wire.Content("d", 3, b"abc")
ATTEMPT = wire.AttemptRef("0" * 32, 7, 2)


@pytest.mark.parametrize(
    ("body", "array"),
    [
        (
            wire.JobReport(
                index=7, attempt=2, state=5, cause=0, started_at=1.5, finished_at=2.5,
                payload=b"p", blob=CONTENT, info=None,
            ),
            [7, 2, 5, 0, 1.5, 2.5, b"p", ["d", 3, b"abc"], None, False, True],
        ),
        (
            wire.Lease(
                batch="b", first=1, envelope=HERE, function=CONTENT, function_name="f", bundle="",
                options=wire.Options(), jobs=[wire.LeasedJob(0, 1, b"a")],
            ),
            [
                "b", 1, ["3.11", "3.1"], ["d", 3, b"abc"], "f", "", {}, [[0, 1, b"a"]],
                None, False, None,
            ],
        ),
        (wire.BlockedOn(ATTEMPT, [(1, 3)]), [["0" * 32, 7, 2], [[1, 3]], False]),
        (wire.LiveQuery(4, ATTEMPT, {"stdout": 9}), [4, ["0" * 32, 7, 2], {"stdout": 9}, None]),
        (wire.LiveAnswer(4, b"i"), [4, b"i"]),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_the_order_of_an_array_is_its_format(body: msgspec.Struct, array: list[object]) -> None:
    """Batches are stored in it and slots of an older version send it, so it must not change."""
    assert msgspec.msgpack.decode(wire.encode(body)) == array
    assert wire.decode(wire.encode(body), type(body)) == body


def test_a_token_is_not_printed() -> None:
    """What a slot is granted may be logged."""
    granted = wire.SlotGranted(slot=7, token="hidden", account="a1", job_key=b"hidden")

    assert "hidden" not in repr(granted)


def test_a_heartbeat_says_little() -> None:
    """Fields with defaults are not sent in answers."""
    assert wire.encode(wire.HeartbeatAnswer()) == b"\x80"
