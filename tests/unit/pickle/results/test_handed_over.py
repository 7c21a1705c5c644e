"""Results that arrive with a job: used if they are there and of such a process, else asked for."""

from __future__ import annotations

import pickle

import pytest
from picloud_model.pack import Envelope, seal, unseal
from picloud_model.wire import Outcome, Outcomes
from picloud_pickle.results.handed_over import HandedOver

HERE, THERE = Envelope("3.11", "3.1.0"), Envelope("3.9", "3.1.0")


def load(parcel: bytes) -> object:
    """Unpickle a parcel."""
    return pickle.loads(unseal(parcel))


def results(parcel: bytes, envelope: int = 0) -> Outcomes:
    """Return the result of job 7."""
    outcome = Outcome(jid=7, status="done", payload=parcel, envelope=envelope)
    return Outcomes(outcomes=[outcome], envelopes=[HERE, THERE])


def test_they_are_there_for_the_arguments_only() -> None:
    """Each time they are read they are made anew."""
    handed_over = HandedOver()

    with handed_over.during(results(seal(pickle.dumps([1]))), HERE, load):
        first, second = handed_over.values([7]), handed_over.values([7, 7])

    assert first == [[1]]
    assert second == [[1], [1]]
    assert second is not None
    assert second[0] is not second[1]
    assert handed_over.values([7]) is None


@pytest.mark.parametrize(
    ("parcel", "envelope", "jids"),
    [
        (seal(pickle.dumps(1)), 1, [7]),
        (seal(pickle.dumps(1)), 0, [7, 8]),
        (seal(b"no pickle"), 0, [7]),
        (b"no parcel", 0, [7]),
        (seal(b"cmissing_module\nname\n."), 0, [7]),
    ],
)
def test_what_cannot_be_used_is_asked_for(parcel: bytes, envelope: int, jids: list[int]) -> None:
    """Of another Python, not all of them, damaged, or made of modules that are missing here."""
    handed_over = HandedOver()

    with handed_over.during(results(parcel, envelope), HERE, load):
        assert handed_over.values(jids) is None
