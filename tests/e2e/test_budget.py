"""`cloud.budget` and `picloud budget`, on every stack."""

from __future__ import annotations

import contextlib
import json
import time
import warnings
from typing import TYPE_CHECKING

import cloud
import pytest
from cloud import CloudException

from tests.current_client import current_client

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloud._client.client import Client

    from tests.e2e.command_line import Exited
    from tests.e2e.stacks import Stack


def test_a_long_job_is_killed_when_its_budget_is_spent(client: Client, stack: Stack) -> None:
    """While it runs; new ones are refused then, and deleting it gives no money back."""
    key = client.keys.create_account("of a budget").key
    with contextlib.closing(stack.client(key)) as own, current_client(own):
        assert cloud.budget.set("$0.00001", label="long", action="kill")["left"] == 0.00001
        cloud.budget.set(0, label="long", per="day", action="warn")
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            jid = cloud.call(time.sleep, 300, _label="long")
        (warning,) = said
        assert "it does not stop jobs" in str(warning.message)
        assert warning.filename == __file__

        with pytest.raises(CloudException, match="killed because a budget was reached"):
            cloud.result(jid)
        with pytest.raises(CloudException, match=r"The budget of \$0.00001 in all for the label"):
            cloud.call(abs, -1, _label="long")
        cloud.delete(jid)

        (left, _) = sorted(cloud.budget.list(), key=lambda each: each["per"] or "")
        assert left["spent"] >= left["dollars"]
        (row,) = cloud.usage(by="label")
        assert row.cost == pytest.approx(left["spent"])


def test_administrators_cap_accounts(
    client: Client, other: Client, picloud: Callable[..., Exited]
) -> None:
    """By the id of the account, which has no access to the caps of others."""
    account = client.keys.create_account("capped").account
    of = ("--account", account)
    assert json.loads(picloud("budget", "set", "$5", "--per", "day", *of, "--json").out)["cap"]
    (row,) = picloud("budget", "list", *of).out.splitlines()[1:]
    assert row.startswith("all jobs\tday\t$5.00\t$0.00\t$5.00\trefuse\t")
    with current_client(other), pytest.raises(CloudException, match="Only an administrator"):
        cloud.budget.list(account)
    with current_client(client):
        cloud.budget.remove("day", account=account)
        with pytest.raises(CloudException, match="There is no budget a day; `picloud budget list`"):
            cloud.budget.remove("day", account=account)
