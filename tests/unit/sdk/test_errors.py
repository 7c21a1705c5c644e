"""What the SDK raises."""

from __future__ import annotations

import pickle

import pytest
from cloud import CloudConnectionError, CloudException, CloudTimeoutError
from cloud.errors import EXCEPTIONS, BlobsLacking, from_problem
from picloud_model.errors import every_error
from picloud_model.wire import Problem


def test_every_error_of_the_platform_has_an_exception() -> None:
    """The table is complete, and names no code that does not exist."""
    assert set(EXCEPTIONS) == set(every_error())


@pytest.mark.parametrize("code", every_error())
def test_each_error_keeps_its_sentence_and_code(code: str) -> None:
    """A user reads the server's message, and a program can identify the error."""
    error = from_problem(Problem(code=code, message="No.", digests=["d"]))

    assert isinstance(error, CloudException)
    assert str(error) == "No."
    assert error.code == code


def test_an_unknown_code_is_a_plain_exception() -> None:
    """A newer server may have errors this client has never heard of."""
    error = from_problem(Problem(code="new.code", message="Something new."))

    assert type(error) is CloudException
    assert str(error) == "Something new."


def test_lacking_blobs_are_named() -> None:
    """The digests travel with the error, for the upload that answers it."""
    error = from_problem(Problem(code="blob.missing", message="No.", digests=["d1", "d2"]))

    assert isinstance(error, BlobsLacking)
    assert error.digests == ("d1", "d2")


@pytest.mark.parametrize("kind", [CloudException, CloudTimeoutError, CloudConnectionError])
def test_exceptions_travel_out_of_jobs(kind: type[CloudException]) -> None:
    """A job that lets one pass has it pickled; everything it says survives."""
    error = kind("it broke", 8, "error", retry=True, code="c", summary="short")

    twin = pickle.loads(pickle.dumps(error))

    assert type(twin) is kind
    assert str(twin) == "Job 8 failed: short\nit broke"
    assert vars(twin) == vars(error)


def test_the_original_positions_hold() -> None:
    """Scripts that make the exceptions themselves pass value, jid, status, retry."""
    values = ("v", 1, "killed", True)

    error = CloudException(*values)

    assert (error.value, error.jid, error.status, error.retry) == values
    assert str(CloudTimeoutError()) == "Timed out"
    assert issubclass(CloudTimeoutError, CloudException)


def test_a_traceback_is_shown_once() -> None:
    """The text of an error with a cause is one line, as the cause shows the traceback."""
    error = CloudException("Traceback ...\nValueError: no", 8, "error", summary="ValueError: no")
    alone = str(error)

    error.__cause__ = ValueError("no")

    assert alone == "Job 8 failed: ValueError: no\nTraceback ...\nValueError: no"
    assert str(error) == "Job 8 failed: ValueError: no"
