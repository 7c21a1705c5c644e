"""Exceptions as they are sent: whole, or without what cannot be sent and with a note on it."""

from __future__ import annotations

import pickle
import subprocess
import threading
from typing import Any

import pytest
from picloud_model.pack import unseal
from picloud_worker.exception_parcel import MOST_PICKLED, exception_parcel


def sent(error: BaseException) -> BaseException:
    """The exception as its user gets it."""
    parcel = exception_parcel(error)
    assert parcel is not None
    assert len(parcel) <= MOST_PICKLED + 100
    found = pickle.loads(unseal(parcel))
    assert isinstance(found, BaseException)
    return found


def notes(error: BaseException) -> str:
    """Its notes, a line each."""
    return "\n".join(getattr(error, "__notes__", ()))


def raised(function: Any, *args: Any) -> BaseException:
    """What a function raises."""
    try:
        function(*args)
    except BaseException as error:
        return error
    pytest.fail("it raised nothing")


def deep(levels: int) -> None:
    """Raise far down."""
    if not levels:
        raise KeyError("far down")
    deep(levels - 1)


def test_an_ordinary_exception_travels_whole() -> None:
    """With its traceback, cause, context and notes of its own, and no other."""

    def fail() -> None:
        try:
            int("first")
        except ValueError as first:
            first.add_note("mine")
            raise KeyError("second") from first

    error = sent(raised(fail))

    assert (type(error), error.args) == (KeyError, ("second",))
    assert error.__traceback__ is not None
    assert isinstance(error.__cause__, ValueError)
    assert notes(error.__cause__) == "mine"
    assert not notes(error)


@pytest.mark.parametrize("levels", [200, 400, 700])
def test_an_exception_from_far_down_travels(levels: int) -> None:
    """With its traceback, in which equal frames are one."""
    error = sent(raised(deep, levels))

    assert error.args == ("far down",)
    assert error.__traceback__ is not None
    assert not notes(error)


def test_endless_recursion_travels() -> None:
    """The traceback has a thousand frames."""

    def endless() -> None:
        endless()

    error = sent(raised(endless))

    assert isinstance(error, RecursionError)
    assert str(error).startswith("maximum recursion depth exceeded")


def test_a_program_that_wrote_much_travels() -> None:
    """Its output is cut in the middle; what else it is stays."""
    error = sent(subprocess.CalledProcessError(3, ["make", "all"], output="x" * 70_000))

    assert isinstance(error, subprocess.CalledProcessError)
    assert (error.returncode, error.cmd) == (3, ["make", "all"])
    assert error.output.startswith("xxx")
    assert "[... 68,000 left out ...]" in error.output
    assert "more than 64,000" in notes(error)


def test_a_large_group_travels() -> None:
    """With as many of its members as there is room for."""
    members = [raised(deep, 20) for _ in range(1000)]

    error = sent(ExceptionGroup("many", members))

    assert isinstance(error, ExceptionGroup)
    assert error.message == "many"
    assert 10 < len(error.exceptions) <= 1000
    assert all(isinstance(each, KeyError) for each in error.exceptions)
    assert "left out" in notes(error)


def test_a_group_of_huge_members_travels() -> None:
    """Each is cut by itself, and how many are missing is said."""
    error = sent(ExceptionGroup("huge", [ValueError("x" * 50_000) for _ in range(100)]))

    assert isinstance(error, ExceptionGroup)
    assert all("left out" in str(each) for each in error.exceptions)
    assert "more are left out" in notes(error)


def test_a_large_attribute_is_left_out() -> None:
    """The others stay."""
    error = ValueError("wrong")
    error.payload = list(range(100_000))  # type: ignore[attr-defined]
    error.code = 7  # type: ignore[attr-defined]
    error.add_note("mine")

    found: Any = sent(error)

    assert found.args == ("wrong",)
    assert found.code == 7
    assert found.payload.startswith("<list left out: ")
    assert notes(found).startswith("mine\npicloud: large values")


def test_what_cannot_be_pickled_is_left_out() -> None:
    """A lock among the arguments or attributes does not cost the exception."""
    error = ValueError("wrong", threading.Lock())
    error.lock = threading.Lock()  # type: ignore[attr-defined]

    found: Any = sent(error)

    assert found.args[0] == "wrong"
    assert found.args[1].startswith("<lock left out: it cannot be pickled (TypeError)>")
    assert found.lock.startswith("<lock left out: ")


def test_a_long_chain_is_cut() -> None:
    """A retry loop links each exception to the one before."""
    error: BaseException | None = None
    for number in range(3000):
        following = ValueError(number)
        following.__context__ = error
        error = following

    assert error is not None
    found = sent(error)

    assert found.args == (2999,)
    assert found.__context__ is not None


def test_of_a_class_that_cannot_be_pickled_the_text_travels() -> None:
    """As an exception of the built-in class above it, which handlers know."""

    class StubbornError(LookupError):
        lock = threading.Lock()

    error = sent(StubbornError("where is it"))

    assert type(error) is LookupError
    assert error.args == ("where is it",)
    assert "only the text of this exception is here" in notes(error)


def test_nothing_a_class_does_raises() -> None:
    """Its own code runs while it is pickled."""

    class HostileError(Exception):
        lock = threading.Lock()

        def __str__(self) -> str:
            raise KeyboardInterrupt

    assert exception_parcel(HostileError()) is None
