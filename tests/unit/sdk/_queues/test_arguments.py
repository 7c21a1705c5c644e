"""Arguments of queues: each error says what is allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cloud._queues import arguments
from cloud._queues.arguments import Target
from cloud.errors import CloudException
from cloud.queue import CloudQueue

if TYPE_CHECKING:
    from collections.abc import Callable


def test_a_target_is_a_queue_or_its_name() -> None:
    """A queue keeps its encoding; a name means pickles."""
    assert arguments.target("a") == Target("a", "pickle")
    assert arguments.target(CloudQueue("a", "json"), 60) == Target("a", "json", 60.0)


def test_classes_of_exceptions_are_one_or_several() -> None:
    """A single class is the same as a list of it."""
    assert arguments.exceptions("retry_on", OSError) == (OSError,)
    assert arguments.exceptions("retry_on", [OSError, KeyError]) == (OSError, KeyError)
    assert arguments.exceptions("retry_on", ()) == ()


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: arguments.queue_name("a b"), "is not a valid queue name"),
        (lambda: arguments.seconds("delay", True, 0, 9), "delay is a number of seconds, 0 to 9"),
        (lambda: arguments.count("readers_per_job", 129, 1, 128), "readers_per_job is 1 to 128"),
        (lambda: arguments.count("readers_per_job", "x", 1, 128), "readers_per_job is 1 to 128"),
        (lambda: arguments.target(7), "Expected a queue or the name of one, not 7"),
        (lambda: arguments.exceptions("retry_on", 7), "retry_on takes classes of exceptions"),
        (lambda: arguments.exceptions("retry_on", [int]), "retry_on takes classes of exceptions"),
    ],
)
def test_bad_arguments_are_refused(check: Callable[[], object], message: str) -> None:
    """The message names the argument."""
    with pytest.raises(CloudException, match=message):
        check()
