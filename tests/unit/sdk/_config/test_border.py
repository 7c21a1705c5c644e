"""Errors that leave the SDK show the program's frames only."""

from __future__ import annotations

import json
import traceback
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from cloud._config.border import UsersIterator, of_users
from cloud._config.configuration import config
from cloud.errors import CloudException, raised_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def functions_of(error: BaseException) -> list[str]:
    """The functions in the traceback of an exception."""
    return [frame.name for frame in traceback.extract_tb(error.__traceback__)]


SDK = """
def deep():
    hook()

def refuse():
    try:
        deep()
    except ValueError as error:
        raise CloudException("no") from error
"""


def inside_the_sdk(hook: Callable[[], object]) -> Callable[[], None]:
    """A function of the SDK that fails as `hook` does, with frames of its own."""
    scope: dict[str, Any] = {
        "__name__": "cloud.inner",
        "CloudException": CloudException,
        "hook": hook,
    }
    exec(SDK, scope)
    refuse: Callable[[], None] = scope["refuse"]
    return refuse


def inside_the_sdk_raising(error: Exception) -> Callable[[], None]:
    """A function of the SDK that raises an exception."""
    scope: dict[str, Any] = {"__name__": "cloud.inner", "error": error}
    exec("def fail():\n    raise error", scope)
    fail: Callable[[], None] = scope["fail"]
    return fail


refuse = inside_the_sdk(partial(int, "x"))


@pytest.fixture
def full() -> Iterator[None]:
    """Tracebacks with all frames."""
    config.full_tracebacks = True
    yield
    config.full_tracebacks = False


@pytest.mark.parametrize("error", [CloudException("no"), KeyboardInterrupt("stopped")])
def test_frames_of_the_sdk_are_hidden(error: BaseException) -> None:
    """The traceback ends with the call of the program."""

    @of_users
    def bordered() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        bordered()

    assert functions_of(caught.value) == ["test_frames_of_the_sdk_are_hidden"]


def test_errors_inside_the_sdk_are_not_its_cause() -> None:
    """What was raised and caught below a program is not shown: the text says what it means."""
    with pytest.raises(CloudException) as caught:
        of_users(refuse)()

    assert functions_of(caught.value) == ["test_errors_inside_the_sdk_are_not_its_cause"]
    assert caught.value.__cause__ is None


def test_errors_of_users_code_stay_causes() -> None:
    """Code of the program that the SDK called shows its own frames."""

    def hook() -> None:
        raise ValueError("mine")

    with pytest.raises(CloudException) as caught:
        of_users(inside_the_sdk(hook))()

    cause = caught.value.__cause__
    assert isinstance(cause, ValueError)
    assert functions_of(cause) == ["hook"]


@pytest.mark.usefixtures("full")
def test_a_setting_keeps_all_frames() -> None:
    """`cloud.config.full_tracebacks` is for those who look for a fault of the SDK."""
    with pytest.raises(CloudException) as caught:
        of_users(refuse)()

    assert "refuse" in functions_of(caught.value)
    assert isinstance(caught.value.__cause__, ValueError)


def test_a_function_that_was_passed_in_shows_its_own_frames() -> None:
    """Where a generator of the program raises, what the SDK did to read it is left out."""

    def rows() -> Iterator[int]:
        yield 1
        raise RuntimeError("no more rows")

    scope: dict[str, Any] = {"__name__": "cloud.inner"}
    exec("def read(items):\n    return list(items)", scope)

    with pytest.raises(RuntimeError) as caught:
        of_users(scope["read"])(rows())

    assert functions_of(caught.value) == [
        "test_a_function_that_was_passed_in_shows_its_own_frames",
        "rows",
    ]


def test_other_errors_keep_all_frames() -> None:
    """A fault of the SDK itself can be reported."""

    @of_users
    def broken() -> None:
        raise AssertionError

    with pytest.raises(AssertionError) as caught:
        broken()

    assert "broken" in functions_of(caught.value)


def test_errors_of_jobs_keep_the_frames_of_their_job() -> None:
    """What a job's function raised shows where, and not which part of the SDK raised it here."""
    scope: dict[str, Any] = {"__name__": "__main__", "json": json}
    exec("def of_the_job():\n    json.loads('x')", scope)
    with pytest.raises(ValueError, match="Expecting value") as job:
        scope["of_the_job"]()
    failure = CloudException("Expecting value", 7, "error")
    failure.__cause__ = job.value.with_traceback(job.tb.tb_next)
    remote = functions_of(job.value)

    with pytest.raises(ValueError, match="Expecting value") as caught:
        of_users(inside_the_sdk_raising(raised_for(failure, original=True)))()

    assert functions_of(caught.value) == [
        "test_errors_of_jobs_keep_the_frames_of_their_job",
        *remote,
    ]
    assert remote[0] == "of_the_job"


def test_an_iterator_goes_on_after_an_error() -> None:
    """The error of one item does not end the iteration."""

    class Items:
        def __init__(self) -> None:
            self.number = 0

        def __iter__(self) -> Items:
            return self

        def __next__(self) -> int:
            self.number += 1
            if self.number == 2:
                raise CloudException("no")
            return self.number

    items = UsersIterator(iter(Items()))

    assert next(items) == 1
    with pytest.raises(CloudException) as caught:
        next(items)
    assert functions_of(caught.value) == ["test_an_iterator_goes_on_after_an_error"]
    assert next(items) == 3


def test_a_call_that_does_not_fit_is_an_error_of_the_caller() -> None:
    """A missing argument is missing in the caller's line; other TypeErrors keep their frames."""

    @of_users
    def takes_one(value: int) -> int:
        return len(value)  # type: ignore[arg-type]

    with pytest.raises(TypeError, match="missing 1 required") as misfit:
        takes_one()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="no len") as inner:
        takes_one(5)

    assert [frame.name for frame in traceback.extract_tb(misfit.tb)] == [
        "test_a_call_that_does_not_fit_is_an_error_of_the_caller"
    ]
    assert traceback.extract_tb(inner.tb)[-1].name == "takes_one"
