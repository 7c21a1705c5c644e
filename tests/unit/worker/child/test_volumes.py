"""Volumes of jobs in a child: nothing without them, one sentence where they cannot be had."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from picloud_model.job import Cause, State
from picloud_model.pack import unseal
from picloud_model.wire import Failure, Options, decode
from picloud_worker.child.volumes import mounted
from picloud_worker.failure import RefusedError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.worker.fake_api import FakeApi
    from tests.unit.worker.worker import Worker


def modules() -> list[str]:
    """Return the modules that only volumes need, of those that are imported."""
    return [name for name in sys.modules if "volume" in name or name.startswith("cloud.")]


def test_a_job_without_volumes_pays_nothing(api: FakeApi, worker: Worker) -> None:
    """Nothing is imported for it, and nothing is requested but work.

    Each slot asks once whether the blobs of its server are files.
    """
    batch = api.submit(modules, [()] * 3)

    assert [api.result(batch, index) for index in range(3)] == [[]] * 3
    paths = [path for path, _ in api.requests]
    assert {*paths} <= {"/v1/slots", "/v1/work", "/v1/heartbeat", "/v1/blobs/missing"}
    assert paths.count("/v1/blobs/missing") <= 1


def test_a_job_whose_volumes_cannot_be_had_says_so(api: FakeApi, worker: Worker) -> None:
    """The function is not called; the cause is the volume."""
    batch = api.submit(modules, options=Options(vols=["data"]))

    ended = api.outcome(batch)
    failure = decode(bytes(unseal(ended.payload)), Failure)
    assert (ended.state, failure.cause) == (State.ERROR, Cause.VOLUME)
    assert failure.message.startswith("the volumes of the job cannot be provided: ")


def test_without_a_supervisor_there_are_none(tmp_path: Path) -> None:
    """The sentence names what does not answer."""
    with (
        pytest.raises(RefusedError, match="slot of this job does not answer"),
        mounted(["data"], str(tmp_path / "volumes")),
    ):
        pytest.fail("the job has begun")
