"""Exit codes."""

from __future__ import annotations

import pytest
from cloud import (
    CloudConnectionError,
    CloudException,
    CloudTimeoutError,
    CloudTypeError,
    CloudValueError,
)
from cloud.errors import from_model
from picloud import exits
from picloud_model.errors import QueueNotFound, RequestConflict, RequestRefused


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CloudTimeoutError("late"), exits.TIMEOUT),
        (CloudException("no", 1, "error"), exits.JOB_FAILED),
        (CloudException("no", 1, "killed"), exits.JOB_FAILED),
        (CloudException("no", 1, "stalled"), exits.JOB_FAILED),
        (CloudException("no", 1, "done"), exits.OTHER),
        (CloudConnectionError("away"), exits.OTHER),
        (CloudTypeError("_cores must be a number of cores"), exits.USAGE),
        (CloudValueError("a schedule must have five fields"), exits.USAGE),
        (from_model(RequestRefused("a schedule must have five fields")), exits.USAGE),
        (from_model(RequestConflict("the queue has a handler")), exits.OTHER),
        (from_model(QueueNotFound()), exits.OTHER),
        (ValueError("no"), exits.OTHER),
    ],
)
def test_each_error_has_an_exit_code(error: Exception, code: int) -> None:
    """Timeouts, failed jobs, and values that anything refuses have codes of their own."""
    assert exits.code_of(error) == code
