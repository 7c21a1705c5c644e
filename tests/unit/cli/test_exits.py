"""Exit codes."""

from __future__ import annotations

import pytest
from cloud import CloudConnectionError, CloudException, CloudTimeoutError
from picloud import exits


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CloudTimeoutError("late"), exits.TIMEOUT),
        (CloudException("no", 1, "error"), exits.JOB_FAILED),
        (CloudException("no", 1, "killed"), exits.JOB_FAILED),
        (CloudException("no", 1, "stalled"), exits.JOB_FAILED),
        (CloudException("no", 1, "done"), exits.OTHER),
        (CloudConnectionError("away"), exits.OTHER),
        (ValueError("no"), exits.OTHER),
    ],
)
def test_each_error_has_an_exit_code(error: Exception, code: int) -> None:
    """Timeouts and failed jobs have codes of their own."""
    assert exits.code_of(error) == code
