"""Locks as a program sees them: what is refused before any request, and what a job gets."""

from __future__ import annotations

import pickle
from typing import Any

import cloud
import pytest
from cloud import CloudException


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cloud.Lock("a b"), "'a b' is not a valid name of a lock: use 1 to 64 letters"),
        (lambda: cloud.Lock("x" * 65), "is not a valid name of a lock"),
        (lambda: cloud.Lock(None), "None is not a valid name"),  # type: ignore[arg-type]
        (lambda: cloud.Semaphore("a", 0), "tokens is 1 to 1,000, not 0"),
        (lambda: cloud.Semaphore("a", 1.5), "tokens is 1 to 1,000, not 1.5"),  # type: ignore[arg-type]
        (lambda: cloud.Lock("a").acquire(timeout=-2), "timeout must be seconds from 0, or -1"),
        (lambda: cloud.Lock("a").acquire(False, 5), "goes with blocking=True only"),
        (lambda: cloud.Lock("a").release(), r"Lock\('a'\) is not held here: acquire it first"),
        (lambda: cloud.Leader("a").fence, r"Leader\('a'\) is not held here"),
        (lambda: cloud.lock.break_lock("a/b"), "'a/b' is not a valid name of a lock"),
    ],
)
def test_what_is_refused_before_any_request(make: Any, message: str) -> None:
    """In one sentence, which names the value."""
    with pytest.raises(CloudException, match=message):
        make()


def test_a_job_gets_a_lock_that_it_does_not_hold() -> None:
    """Pickled, a lock is its name, and a semaphore its name and its tokens."""
    for each in (cloud.Lock("a"), cloud.Leader("b"), cloud.Semaphore("c", 3)):
        copy = pickle.loads(pickle.dumps(each))

        assert repr(copy) == repr(each)
        assert not copy.held
