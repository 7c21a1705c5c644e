"""The guard of connections: what is overdue, and which strangers are too many."""

from __future__ import annotations

from picloud_api.server import guard
from picloud_api.server.guard import BODY_RATE, BODY_S, HEAD_S, GuardedProtocol, sweep


class Connection(GuardedProtocol):
    """A connection without a socket."""

    def __init__(self, begun_at: float, *, known: bool = False) -> None:
        self._begun_at = begun_at
        self._phase = guard._Phase.HEAD
        self._is_known = known
        self._sent_bytes = 0
        self.scope = {}  # type: ignore[typeddict-item]
        self.aborted = False

    def abort(self) -> None:
        """Record it."""
        self.aborted = True


def test_a_head_has_a_deadline() -> None:
    """A connection that rests between requests has none."""
    late, early, resting = Connection(0.0), Connection(5.0), Connection(0.0)
    resting.rest()

    sweep([late, early, resting], HEAD_S + 1.0)

    assert [each.aborted for each in (late, early, resting)] == [True, False, False]


def test_a_large_body_may_take_as_long_as_it_needs() -> None:
    """A body that arrives at a modest rate is not overdue."""
    slow, steady = Connection(0.0), Connection(0.0)
    for connection in (slow, steady):
        connection._phase = guard._Phase.BODY
    steady._sent_bytes = 100 * BODY_RATE

    sweep([slow, steady], BODY_S + 90.0)

    assert [each.aborted for each in (slow, steady)] == [True, False]


def test_the_oldest_strangers_are_closed() -> None:
    """Connections with a valid credential are not counted."""
    strangers = [Connection(float(number)) for number in range(4)]
    known = Connection(0.0, known=True)

    sweep([known, *strangers], 5.0, most_strangers=2)

    assert [each.aborted for each in strangers] == [True, True, False, False]
    assert not known.aborted
