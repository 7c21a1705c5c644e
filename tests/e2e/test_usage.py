"""`cloud.usage`, `cloud.prices`, costs of jobs, and their commands, on every stack."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING
from uuid import uuid4

import cloud
import pytest

from tests.current_client import current_client

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloud._client.client import Client

    from tests.e2e.command_line import Exited


def test_the_cost_of_jobs_is_their_runtime(client: Client, picloud: Callable[..., Exited]) -> None:
    """To the millisecond, by label and in the shell, and also after they were deleted."""
    label = f"cost {uuid4().hex[:8]}"
    with current_client(client):
        jids = cloud.map(lambda n: sum(range(n)), [10, 500_000, 0], _label=label)
        cloud.join(jids)
        infos = cloud.info(jids, ["runtime", "cost"]).values()
        runtime_ms = sum(round(info["runtime"] * 1000) for info in infos)
        price = cloud.prices()["c1"]
        assert price is not None
        assert sum(info["cost"] for info in infos) == pytest.approx(price * runtime_ms / 3_600_000)

        cloud.delete(jids)

        (row,) = [row for row in cloud.usage(since=3600) if row.group == label]
        assert (row.jobs, row.runtime, row.unpriced) == (3, runtime_ms / 1000, ())
        assert row.cost == pytest.approx(price * runtime_ms / 3_600_000)
    text = picloud("usage", "--by", "label", "--since", "1h", "--csv").out
    (listed,) = [each for each in csv.DictReader(io.StringIO(text)) if each["label"] == label]
    assert (listed["jobs"], float(listed["runtime"])) == ("3", runtime_ms / 1000)
    rows = json.loads(picloud("usage", "--by", "function", "--json").out)
    assert sum(each["jobs"] for each in rows) >= 3


def test_prices_are_listed(picloud: Callable[..., Exited]) -> None:
    """With their core types; a wrong group is named together with those that there are."""
    assert "f2\t$0.22\n" in picloud("prices").out
    assert json.loads(picloud("prices", "--json").out)["c1"] == 0.04
    wrong = picloud("usage", "--by", "week")
    assert (wrong.code, wrong.out) == (2, "")
    assert "write label, function, day, type, map or month." in wrong.err
