"""Submit requests: the values that options and dependencies may have."""

from __future__ import annotations

import gc
from typing import Any

import msgspec
import pytest
from picloud_model import wire

SUBMIT: dict[str, Any] = {
    "submit_id": "0" * 32,
    "kind": "call",
    "count": 1,
    "envelope": ["3.11", "3.1.0"],
    "function": ["", 1, "YQ=="],
    "function_name": "f",
}


def read(**more: Any) -> wire.SubmitRequest:
    """A submit in JSON, as the server reads it."""
    return wire.decode(msgspec.json.encode(SUBMIT | more), wire.SubmitRequest, wire.JSON)


@pytest.mark.parametrize(
    "options",
    [
        {"max_runtime_s": 0},
        {"max_runtime_s": -1},
        {"max_runtime_s": 1e10},
        {"max_runtime_s": "60"},
        {"kill_process": 1},
        {"os_env_vars": ["A"]},
        {"os_env_vars": {"A": 1}},
        {"fast_serialization": 3},
        {"fast_serialization": -1},
        {"env": 7},
        {"env": "x" * 101},
        {"vols": "data"},
        {"vols": ["x"] * 101},
        {"label": "x" * 201},
        {"priority": 1001},
        {"unknown": 1},
    ],
)
def test_options_no_job_can_have_are_refused(options: dict[str, Any]) -> None:
    """Decoding checks the type and the range of each option."""
    with pytest.raises(msgspec.ValidationError):
        read(options=options)


@pytest.mark.parametrize(
    "wrong",
    [
        {"depends_on": [1]},
        {"depends_on": [[0, 1]]},
        {"depends_on": [[1, 2**53]]},
        {"depends_on": [[1]]},
        {"depends_on_errors": "stop"},
    ],
)
def test_dependencies_are_ranges_of_jids(wrong: dict[str, Any]) -> None:
    """Pairs of jids, and one of the two policies."""
    with pytest.raises(msgspec.ValidationError):
        read(**wrong)


def test_defaults_may_be_omitted() -> None:
    """A submit without options and dependencies is a plain one."""
    request = read()

    assert request.options == wire.Options()
    assert (request.depends_on, request.depends_on_errors) == ([], "abort")


def test_values_of_long_lists_are_not_seen_by_the_garbage_collector() -> None:
    """122 requests of 1,000 parts would stop the server for 0.1 s each time it looks for cycles."""
    body = SUBMIT | {"parts": [[0, 1, ["0" * 64, 10]]]}

    (part,) = wire.decode(msgspec.json.encode(body), wire.SubmitRequest, wire.JSON).parts

    assert not gc.is_tracked(part)
    assert not gc.is_tracked(part.content)
