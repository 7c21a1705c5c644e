"""Responses of applications: read from results of jobs, which may hold anything."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from picloud_api.usecases.rest.application import app_response
from picloud_model.errors import InvokedJobFailed
from picloud_model.wire.application import AppResponseHead, sealed_response


def test_a_response_is_read() -> None:
    """Its status, its headers, its body and the type of it."""
    data = sealed_response(AppResponseHead(201, [("content-TYPE", "a/b")]), b"body")

    read = app_response(1, pickle.dumps(data, 5))

    assert (read.head.status, read.body.content_type, read.body.data) == (201, "a/b", b"body")


@pytest.mark.parametrize("value", [b"", b"\0\0\0\2{}", "text", 5, {1}, None])
def test_another_result_is_not_sent(value: Any) -> None:
    """The error names the job."""
    with pytest.raises(InvokedJobFailed, match="result of job 7"):
        app_response(7, pickle.dumps(value, 5))
