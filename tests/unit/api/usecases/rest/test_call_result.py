"""Raw results: bytes and text as they are, nothing else."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from picloud_api.usecases.rest.call_result import CallResult, raw_result
from picloud_model.errors import InvokedJobFailed


@pytest.mark.parametrize(
    ("value", "content_type", "expected"),
    [
        (b"\xff", "", CallResult(b"\xff", "application/octet-stream")),
        ("é", "", CallResult("é".encode(), "text/plain; charset=utf-8")),
        ("\udcff", "", CallResult(b"\xff", "text/plain; charset=utf-8")),
        ("\ud800", "", CallResult(b"?", "text/plain; charset=utf-8")),
        (b"<svg/>", "image/svg+xml", CallResult(b"<svg/>", "image/svg+xml")),
    ],
)
def test_bytes_and_text_are_returned(value: Any, content_type: str, expected: CallResult) -> None:
    """The content type is the endpoint's, or that of the result."""
    assert raw_result(1, pickle.dumps(value), content_type) == expected


@pytest.mark.parametrize(
    ("value", "reason"), [(5, "result of job 1 is of type int"), ({1}, "is a Python object")]
)
def test_other_results_are_refused(value: Any, reason: str) -> None:
    """The error says what the function must return."""
    with pytest.raises(InvokedJobFailed, match=f"{reason}.*must return bytes or text"):
        raw_result(1, pickle.dumps(value), "")
