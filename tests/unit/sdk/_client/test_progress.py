"""`cloud.progress`, outside of a job and with wrong values."""

from __future__ import annotations

import math
from typing import Any

import cloud
import pytest
from cloud import CloudTypeError


def test_outside_of_a_job_nothing_happens() -> None:
    """So that a function runs here as it does in a job."""
    cloud.progress(1, 2)
    cloud.progress(0.5)


@pytest.mark.parametrize("wrong", [-1, "1", None, math.nan, math.inf, True])
def test_only_numbers_from_0_are_a_progress(wrong: Any) -> None:
    """The error names the argument, also outside of a job."""
    with pytest.raises(CloudTypeError, match="done must be a number from 0"):
        cloud.progress(wrong)
    if wrong is not None:
        with pytest.raises(CloudTypeError, match="total must be a number from 0"):
            cloud.progress(1, wrong)
