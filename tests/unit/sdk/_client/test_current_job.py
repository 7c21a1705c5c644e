"""The job that this process runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloud._client.current_job import CurrentJob

if TYPE_CHECKING:
    import pytest


def test_a_process_without_a_job_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment says whether there is one."""
    monkeypatch.delenv("PICLOUD_LINE", raising=False)
    assert CurrentJob.here() is None

    monkeypatch.setenv("PICLOUD_LINE", "name")
    assert CurrentJob.here() is not None
