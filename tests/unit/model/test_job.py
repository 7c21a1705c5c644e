"""The job: states, moves and causes."""

from __future__ import annotations

import pytest
from picloud_model.job import FINAL, LEASABLE, MOVES, Cause, State, Status, may_move


@pytest.mark.parametrize("state", State)
def test_only_final_states_have_no_move(state: State) -> None:
    """A job that has not ended can always end, and one that has never changes."""
    assert state.final == (state in FINAL) == (not MOVES[state])


@pytest.mark.parametrize("state", [state for state in State if not state.final])
def test_every_open_job_can_be_killed(state: State) -> None:
    """`kill` ends a job in whatever state it is."""
    assert may_move(state, State.KILLED)


def test_a_lease_is_not_shown() -> None:
    """A user sees a leased job as queued, and one that lost its slot as processing."""
    shown = {state: state.shown for state in State}

    assert shown[State.LEASED] is Status.QUEUED
    assert shown[State.RETRYING] is Status.PROCESSING
    assert set(shown.values()) == set(Status)


def test_states_and_causes_are_stored_as_bytes() -> None:
    """Their numbers are in stored pages, so none may ever change."""
    assert [state.name for state in State] == [
        "QUEUED", "WAITING", "LEASED", "PROCESSING", "RETRYING", "DONE", "ERROR", "KILLED",
        "STALLED",
    ]  # fmt: skip
    assert [cause.name for cause in Cause] == [
        "NONE", "EXCEPTION", "EXIT", "SIGNAL", "MEMORY", "TIME_LIMIT", "KILLED", "NODE_LOST",
        "DEPENDENCY", "DEADLOCK", "ENVIRONMENT", "PAYLOAD", "VOLUME",
    ]  # fmt: skip
    assert [*State] == list(range(len(State)))
    assert [*Cause] == list(range(len(Cause)))


def test_a_lost_job_is_leased_first() -> None:
    """It has waited longest."""
    assert LEASABLE == (State.RETRYING, State.QUEUED)


def test_every_cause_but_none_has_a_phrase() -> None:
    """Users read it."""
    assert [cause for cause in Cause if not cause.phrase] == [Cause.NONE]
