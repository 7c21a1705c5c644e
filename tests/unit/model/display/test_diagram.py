"""The states of a job: what is drawn of them, and what a user sees."""

from __future__ import annotations

from picloud_model.display.diagram import mermaid, shown
from picloud_model.job import FINAL, MOVES, State, Status


def test_the_diagram_draws_every_move_once() -> None:
    """A line for each move of the table, and nothing else."""
    head, *lines = mermaid().splitlines()

    assert head == "stateDiagram-v2"
    assert len(lines) == len(set(lines)) == sum(map(len, MOVES.values()))
    for line in lines:
        before, after = (State[name.upper()] for name in line.strip().split(" --> "))
        assert after in MOVES[before]


def test_a_user_sees_the_moves_of_the_primer() -> None:
    """The Primer's diagram: waiting goes to queued, stalled or killed, queued to processing or
    killed, processing to done, error or killed, "at which point its status becomes permanent".
    """
    primer = {
        Status.WAITING: {Status.QUEUED, Status.STALLED, Status.KILLED},
        Status.QUEUED: {Status.PROCESSING, Status.KILLED},
        Status.PROCESSING: {Status.DONE, Status.ERROR, Status.KILLED},
    }

    assert shown() == {(before, after) for before, afters in primer.items() for after in afters}


def test_final_states_are_permanent() -> None:
    """From done, error, killed and stalled there is no move, from every other state there is."""
    assert {state for state, moves in MOVES.items() if not moves} == set(FINAL)
    assert set(MOVES) == set(State)
