"""`cloud.estimate` and `picloud plan`, on every stack."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import cloud
import pytest
from cloud import CloudException

from tests.current_client import current_client

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloud._client.client import Client

    from tests.e2e.command_line import Exited


def test_an_estimate_follows_from_its_sample(client: Client) -> None:
    """The first, the last and a job between them run; the map costs that many times more."""
    with current_client(client):
        estimate = cloud.estimate(pow, iter(range(1000)), range(1000), _label="a sample")

        assert estimate.jobs == 1000
        jobs = cloud.result(estimate.sample)
        assert [jobs[0], jobs[-1]] == [1, 999**999]
        infos = cloud.info(estimate.sample, ["runtime", "label"]).values()
        runtimes = [info["runtime"] for info in infos]
        assert {info["label"] for info in infos} == {"a sample"}
        assert estimate.runtime == pytest.approx(sum(runtimes) / 3)
        assert (estimate.shortest, estimate.longest) == (min(runtimes), max(runtimes))
        price = cloud.prices()["c1"]
        assert price is not None
        assert estimate.cost == pytest.approx(price * estimate.runtime * 1000 / 3600, rel=0.01)
        assert estimate.slots > 0
        assert estimate.duration >= 1000 * estimate.runtime / estimate.slots


def test_a_sample_that_fails_is_an_error(client: Client) -> None:
    """It is that of the job; the other items are not sent."""
    with current_client(client), pytest.raises(CloudException, match="ZeroDivisionError"):
        cloud.estimate(divmod, [1, 2, 3, 4], [1, 1, 1, 0])


def test_a_command_is_planned(picloud: Callable[..., Exited]) -> None:
    """The output has a line for each part, or is JSON; a failure is that of a job."""
    planned = json.loads(picloud("plan", "--json", "-n", "n=1,2,3,4", "echo", "{n}").out)
    assert (planned["jobs"], len(planned["sample"])) == (4, 3)
    assert planned["least_cost"] <= planned["cost"] <= planned["most_cost"]
    lines = picloud("plan", "-k", "10", "--sample", "1", "true").out.splitlines()
    assert [line.split()[0] for line in lines] == ["jobs", "cost", "duration", "a"]
    failed = picloud("plan", "-k", "2", "false")
    assert (failed.code, failed.out) == (3, "")
