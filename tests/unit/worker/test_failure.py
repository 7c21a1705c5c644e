"""Failures: each way in which a job can fail is described for its user."""

from __future__ import annotations

import signal
from typing import Any

import cloudpickle
import pytest
from picloud_model.job import Cause, State
from picloud_model.pack import unseal
from picloud_model.wire import Failure, decode
from picloud_worker.failure import (
    MOST_MESSAGE,
    MOST_TRACEBACK,
    KillSignalError,
    RefusedError,
    bounded,
    describe,
    exited,
    killed,
    over_time,
    parcel,
    signalled,
    state_of,
    termination_failure,
    without_memory,
)


def raised(error: BaseException) -> BaseException:
    """Return an exception as a job raises it."""
    try:
        raise error  # noqa: TRY301 - the traceback begins here
    except BaseException as caught:
        return caught


@pytest.mark.parametrize(
    ("error", "cause", "message"),
    [
        (ValueError("bad"), Cause.EXCEPTION, "ValueError: bad"),
        (ValueError(), Cause.EXCEPTION, "ValueError"),
        (
            ExceptionGroup(
                "two parts",
                [ValueError("a"), ExceptionGroup("inner", [KeyError("b"), KeyError("b")])],
            ),
            Cause.EXCEPTION,
            "ExceptionGroup: two parts (2 sub-exceptions): ValueError: a; 2 times KeyError: 'b'",
        ),
        (
            ExceptionGroup("five", [ValueError(number) for number in range(5)]),
            Cause.EXCEPTION,
            (
                "ExceptionGroup: five (5 sub-exceptions): ValueError: 0; ValueError: 1; "
                "ValueError: 2; and 2 other errors"
            ),
        ),
        (KeyboardInterrupt(), Cause.EXCEPTION, "KeyboardInterrupt"),
        (SystemExit("bye"), Cause.EXIT, "the job called sys.exit('bye')"),
        (KillSignalError(), Cause.KILLED, "killed by its user"),
        (RefusedError(Cause.PAYLOAD, "damaged"), Cause.PAYLOAD, "damaged"),
    ],
)
def test_an_exception_has_a_cause_and_a_message(
    error: BaseException, cause: Cause, message: str
) -> None:
    """The message is what a user reads first."""
    failure = describe(raised(error))

    assert (failure.cause, failure.message) == (cause, message)


def test_an_exception_travels_with_its_traceback() -> None:
    """The text shows where it was raised, and the exception itself can be raised again."""
    failure = describe(raised(LookupError("nothing", 3)))

    assert "in raised" in failure.traceback
    assert failure.pickled is not None
    error = cloudpickle.loads(unseal(failure.pickled))
    assert (type(error), error.args) == (LookupError, ("nothing", 3))


def test_running_out_of_memory_is_a_cause_of_its_own() -> None:
    """The message says so before the text of the exception."""
    failure = describe(raised(MemoryError("too much")))

    assert failure.cause == Cause.MEMORY
    assert failure.message.endswith("MemoryError: too much")


@pytest.mark.parametrize(
    ("failure", "cause", "message"),
    [
        (signalled(signal.SIGSEGV, "out"), Cause.SIGNAL, "signal 11 (SIGSEGV)"),
        (signalled(99, "out"), Cause.SIGNAL, "signal 99 (unknown)"),
        (exited(3, "out"), Cause.EXIT, "the process ended without a result (exit status 3)"),
        (killed("out"), Cause.KILLED, "killed by its user"),
    ],
)
def test_a_process_that_ends_has_its_output_as_traceback(
    failure: Failure, cause: Cause, message: str
) -> None:
    """The end of its stderr is all there is."""
    assert (failure.cause, failure.message, failure.traceback) == (cause, message, "out")


def test_a_process_without_memory_is_ended_by_the_system() -> None:
    """The message names the system, not the user."""
    failure = without_memory("")

    assert failure.cause == Cause.MEMORY
    assert failure.message.endswith("the system ended the process")


@pytest.mark.parametrize(
    ("seconds", "words"), [(60, "1 minute"), (90, "1.5 minutes"), (600, "10 minutes")]
)
def test_a_time_limit_is_named_in_minutes(seconds: float, words: str) -> None:
    """As users set it."""
    assert over_time(seconds).message.endswith(f"maximum runtime of {words}")


def test_a_terminated_job_shows_where_it_was() -> None:
    """The reason is the supervisor's, the traceback the job's."""
    inside = describe(raised(KillSignalError()))

    by_user = termination_failure(inside, killed())
    by_limit = termination_failure(inside, over_time(60))

    assert "Killed by its user" in by_user.traceback
    assert "Ended by its time limit" in by_limit.traceback
    assert "in raised" in by_limit.traceback
    assert (by_user.cause, by_limit.cause) == (Cause.KILLED, Cause.TIME_LIMIT)
    assert state_of(by_user) == state_of(by_limit) == State.KILLED
    assert state_of(exited(1, "")) == State.ERROR


def test_a_failure_is_bounded() -> None:
    """The message is one line; of a long traceback the middle is left out."""
    text = "first" + "x" * 2 * MOST_TRACEBACK + "last"

    cut = bounded(Failure(cause=Cause.EXIT, message="a\n b" + "c" * 9_999, traceback=text))

    assert cut.message.startswith("a bc")
    assert len(cut.message) == MOST_MESSAGE
    assert cut.traceback.startswith("first")
    assert cut.traceback.endswith("last")
    assert "characters left out" in cut.traceback
    assert len(cut.traceback) < MOST_TRACEBACK + 100


def test_a_parcel_is_what_clients_read() -> None:
    """It is sealed, and decodes to the same failure."""
    failure = exited(3, "out")
    data: Any = unseal(parcel(failure))

    assert decode(bytes(data), Failure) == failure
