"""The functions of the jobs of notebooks and desktops."""

from __future__ import annotations

import pytest
from cloud._notebook import machine
from cloud.errors import CloudException


def test_outside_of_a_job_there_is_no_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The functions that run one say so."""
    monkeypatch.delenv("PICLOUD_JID", raising=False)

    with pytest.raises(CloudException, match="Only a job can run a notebook"):
        machine.host_notebook("a", [20_000], 0)
    with pytest.raises(CloudException, match="Only a job can run a desktop"):
        machine.host_desktop("a", [20_000], 0, "640x480x24", "")
