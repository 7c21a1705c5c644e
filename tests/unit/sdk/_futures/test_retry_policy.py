"""`cloud.RetryPolicy`: delays, and what is refused."""

from __future__ import annotations

from typing import Any

import cloud
import pytest
from cloud import CloudTypeError


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


def test_delays_grow_up_to_a_limit() -> None:
    """And vary by the jitter."""
    policy = cloud.RetryPolicy(5, delay=1, factor=2, max_delay=5, jitter=0.5)

    for delay, longest in zip(policy.delays(), [1, 2, 4, 5], strict=True):
        assert longest / 2 <= delay <= longest
