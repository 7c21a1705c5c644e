"""`cloud.RetryPolicy`: delays, and what is refused."""

from __future__ import annotations

from typing import Any

import cloud
import pytest
from cloud import CloudTypeError, CloudValueError
from cloud._futures.retry_policy import run_again


@pytest.mark.parametrize(
    "wrong",
    [
        {"attempts": 0},
        {"attempts": 2, "delay": -1},
        {"attempts": 2, "factor": 0},
        {"attempts": 2, "jitter": 2},
        {"attempts": 2, "max_delay": "x"},
        {"attempts": 2, "on": KeyboardInterrupt},
        {"attempts": 2, "on": ["x"]},
    ],
)
def test_bad_policies_are_refused(wrong: dict[str, Any]) -> None:
    """Where they are made."""
    with pytest.raises(CloudTypeError):
        cloud.RetryPolicy(**wrong)


def test_what_to_do_without_memory_is_one_of_a_list() -> None:
    """The message says which."""
    assert not cloud.RetryPolicy(1).grows
    with pytest.raises(CloudValueError, match="oom must be 'grow' or None, not 'shrink'"):
        cloud.RetryPolicy(1, oom="shrink")  # type: ignore[arg-type]


def test_lacking_memory_is_not_tried_again_on_the_same_core() -> None:
    """With `oom="grow"`; else it is an exception like others."""
    calls: list[int] = []

    def fails() -> None:
        calls.append(1)
        raise MemoryError

    for policy in (
        cloud.RetryPolicy(3, delay=0, oom="grow"),
        cloud.RetryPolicy(3, delay=0),
    ):
        with pytest.raises(MemoryError):
            run_again(policy, fails)

    assert len(calls) == 1 + 3


def test_delays_grow_up_to_a_limit() -> None:
    """And vary by the jitter."""
    policy = cloud.RetryPolicy(5, delay=1, factor=2, max_delay=5, jitter=0.5)

    for delay, longest in zip(policy.delays(), [1, 2, 4, 5], strict=True):
        assert longest / 2 <= delay <= longest
