"""What an import changes stays, whatever the job has changed before; what the job did does not."""

from __future__ import annotations

from typing import Any

import pytest
from picloud_worker.restore.import_changes import with_changes
from picloud_worker.restore.logger_settings import LoggerState
from picloud_worker.restore.process_state import ProcessState, Setting

OF_JOB, OF_MODULE, OF_BOTH = "of the job", "of a module", "first"
JOB = LoggerState(level=10, handlers=(OF_JOB,))


@pytest.mark.parametrize(
    ("before", "earlier", "later", "kept"),
    [
        (1, 1, 2, 2),
        (1, 2, 2, 1),
        (1, 2, 3, 1),
        ([1], [1, 2], [1, 2, 3], [1, 3]),
        ([1], [2, 1], [3, 2, 1], [3, 1]),
        ([1, 2], [1, 2, 3], [2, 3], [2]),
        ([1, 2], [2], [2, 1], [2, 1]),
        ((1, 1), (2, 1), (2, 2), (1, 2)),
        (([1], True), ([1, 2], True), ([1, 2, 3], False), ([1, 3], False)),
        ({"a": 1}, {"a": 2}, {"a": 2, "b": 1}, {"a": 1, "b": 1}),
        ({"a": 1, "b": 1}, {"a": 2, "b": 1}, {"a": 2}, {"a": 1}),
        ({"a": 1}, {}, {"a": 1}, {"a": 1}),
        (None, {"a": 1}, {"a": 2}, None),
        ({}, {"l": JOB}, {"l": JOB._replace(level=30)}, {}),
        (
            {},
            {"l": JOB},
            {"l": JOB._replace(handlers=(OF_JOB, OF_MODULE))},
            {"l": LoggerState(handlers=(OF_MODULE,))},
        ),
        (
            {"l": LoggerState(handlers=(OF_BOTH,))},
            {"l": JOB._replace(handlers=(OF_BOTH, OF_JOB))},
            {"l": JOB._replace(handlers=(OF_BOTH, OF_JOB, OF_MODULE), propagate=False)},
            {"l": LoggerState(propagate=False, handlers=(OF_BOTH, OF_MODULE))},
        ),
    ],
)
def test_what_the_import_changed_stays(before: Any, earlier: Any, later: Any, kept: Any) -> None:
    """And what the job changed is as before it."""
    assert with_changes(before, earlier, later) == kept


def test_what_cannot_be_compared_is_restored() -> None:
    """A job may have put there what raises when it is compared."""

    class Hostile:
        def __eq__(self, other: object) -> bool:
            raise ValueError

        __hash__ = None  # type: ignore[assignment]

    held: list[Any] = [1]
    process = ProcessState([Setting("held", lambda: held[0], lambda _: held.__setitem__(0, 1))])
    held[0] = Hostile()
    snapshot = process.snapshot()
    held[0] = Hostile()

    process.keep_changes(snapshot)

    assert process.restore() == (["held"], [])
    assert held == [1]
