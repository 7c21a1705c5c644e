"""Statuses to wait for: checked, and refused when they cannot come."""

from __future__ import annotations

import pytest
from cloud import CloudException
from cloud._arguments.statuses import check_reachable, read_statuses
from picloud_model.job import ENDED


def test_one_or_several_statuses_are_read() -> None:
    """Any iterable of names."""
    assert read_statuses("done") == ["done"]
    assert read_statuses(name for name in ("done", "error")) == ["done", "error"]


@pytest.mark.parametrize("test_status", ["finished", [], 7, None, ["done", "gone"]])
def test_unknown_statuses_are_refused(test_status: object) -> None:
    """The message lists those that exist."""
    with pytest.raises(CloudException, match="waiting, queued, processing"):
        read_statuses(test_status)


def test_what_has_ended_does_not_change() -> None:
    """A wait for another status is refused; a wait for jobs that go on is not."""
    assert {"done", "error", "killed", "stalled"} == ENDED
    check_reachable({1: "queued"}, ["done"])

    with pytest.raises(CloudException, match="ended as killed and will never be done or error"):
        check_reachable({1: "killed"}, ["done", "error"])
