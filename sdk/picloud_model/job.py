"""The job: its states, the moves between them, and the causes of failure."""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Final

MAX_JOBS: Final = 1_000_000
"""Maximum number of jobs in a batch, and of jids in a request."""
MAX_ARGUMENT_BYTES: Final = 16_000_000
"""Upper bound of the `max_transmit_data` setting."""
DEFAULT_ARGUMENT_BYTES: Final = 1_000_000
"""Default of the `max_transmit_data` setting."""


class Status(StrEnum):
    """The status of a job that a user sees (the Primer's diagram)."""

    WAITING = "waiting"
    """The job waits until its dependencies are satisfied."""
    QUEUED = "queued"
    """The job waits for a free core."""
    PROCESSING = "processing"
    """The job runs."""
    DONE = "done"
    """The job completed and has a result."""
    ERROR = "error"
    """The job failed; its cause says how."""
    KILLED = "killed"
    """The job was aborted by its user."""
    STALLED = "stalled"
    """The job will not run, because a job it depends on failed."""


class State(IntEnum):
    """The state of a job within the platform; one byte per job in a page.

    QUEUED is zero so that a new page encodes to almost nothing.
    """

    QUEUED = 0
    """In the queue, ready to be leased."""
    WAITING = 1
    """Waiting for its dependencies."""
    LEASED = 2
    """Leased to a slot that has not yet reported that the job began."""
    PROCESSING = 3
    """A slot has reported that the job runs."""
    RETRYING = 4
    """Its slot was lost after it began; ready to be leased again."""
    DONE = 5
    """Finished with a result."""
    ERROR = 6
    """Finished without a result."""
    KILLED = 7
    """Aborted by its user."""
    STALLED = 8
    """Never to run: a dependency failed."""

    @property
    def shown(self) -> Status:
        """The status a user sees: a lease is still `queued`, a lost attempt `processing`.

        >>> State.LEASED.shown, State.RETRYING.shown
        (<Status.QUEUED: 'queued'>, <Status.PROCESSING: 'processing'>)
        """
        return _SHOWN[self]

    @property
    def final(self) -> bool:
        """Whether the state never changes again.

        >>> State.KILLED.final, State.LEASED.final
        (True, False)
        """
        return self >= State.DONE


_SHOWN: Final = {
    State.QUEUED: Status.QUEUED,
    State.WAITING: Status.WAITING,
    State.LEASED: Status.QUEUED,
    State.PROCESSING: Status.PROCESSING,
    State.RETRYING: Status.PROCESSING,
    State.DONE: Status.DONE,
    State.ERROR: Status.ERROR,
    State.KILLED: Status.KILLED,
    State.STALLED: Status.STALLED,
}

LEASABLE: Final = (State.RETRYING, State.QUEUED)
"""States of jobs that a slot may lease; a job that lost its slot comes first."""

UNDER_LEASE: Final = (State.LEASED, State.PROCESSING)
"""States in which a slot holds the job."""

FINAL: Final = (State.DONE, State.ERROR, State.KILLED, State.STALLED)
"""States that never change."""

ENDED: Final = frozenset(state.shown.value for state in FINAL)
"""The statuses that never change."""

MOVES: Final[dict[State, frozenset[State]]] = {
    State.WAITING: frozenset({State.QUEUED, State.STALLED, State.KILLED}),
    State.QUEUED: frozenset({State.LEASED, State.KILLED}),
    State.LEASED: frozenset(
        {State.QUEUED, State.PROCESSING, State.DONE, State.ERROR, State.KILLED}
    ),
    State.PROCESSING: frozenset({State.RETRYING, State.DONE, State.ERROR, State.KILLED}),
    State.RETRYING: frozenset({State.PROCESSING, State.ERROR, State.KILLED}),
    State.DONE: frozenset(),
    State.ERROR: frozenset(),
    State.KILLED: frozenset(),
    State.STALLED: frozenset(),
}
"""Every move that a job can make; the docs' diagram is drawn from this table."""


def may_move(before: State, after: State) -> bool:
    """Whether a job may go from one state to another.

    >>> may_move(State.QUEUED, State.LEASED), may_move(State.DONE, State.QUEUED)
    (True, False)
    """
    return after in MOVES[before]


class Cause(IntEnum):
    """Why a job did not end `done`: a closed list, one byte per job."""

    NONE = 0
    """Nothing failed."""
    EXCEPTION = 1
    """The user's function raised."""
    EXIT = 2
    """The process ended without a result."""
    SIGNAL = 3
    """A signal ended the process."""
    MEMORY = 4
    """The process went past its memory limit."""
    TIME_LIMIT = 5
    """The job ran past its maximum runtime."""
    KILLED = 6
    """The user killed the job."""
    NODE_LOST = 7
    """Slots of the job were lost too often; for a job that is not restartable, once."""
    DEPENDENCY = 8
    """A job this one depends on failed."""
    DEADLOCK = 9
    """The job was blocked on jobs that no slot was left to run."""
    ENVIRONMENT = 10
    """The job's environment or its modules could not be provided."""
    PAYLOAD = 11
    """The pickled function, arguments or result was refused."""
    VOLUME = 12
    """The files of a volume could not be provided, or what the job wrote not be stored."""

    @property
    def phrase(self) -> str:
        """The cause in a user's words.

        >>> Cause.NODE_LOST.phrase
        'node lost'
        """
        return _PHRASES[self]


_PHRASES: Final = {
    Cause.NONE: "",
    Cause.EXCEPTION: "user exception",
    Cause.EXIT: "exit without result",
    Cause.SIGNAL: "signal",
    Cause.MEMORY: "out of memory",
    Cause.TIME_LIMIT: "time limit",
    Cause.KILLED: "killed",
    Cause.NODE_LOST: "node lost",
    Cause.DEPENDENCY: "dependency failed",
    Cause.DEADLOCK: "deadlock",
    Cause.ENVIRONMENT: "environment failed",
    Cause.PAYLOAD: "payload refused",
    Cause.VOLUME: "volume failed",
}

MAX_LOSSES: Final = 3
"""Slots that died alone while they ran a job, after which it is an error: it may have ended
them."""

MAX_SPARED: Final = 100
"""The sum of the weights of all other losses, after which a job is an error, so that none is run
forever."""
