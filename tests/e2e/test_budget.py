"""`cloud.budget` and `picloud budget`, on every stack."""

from __future__ import annotations

import contextlib
import json
import os
import time
from typing import TYPE_CHECKING

import cloud
import pytest
from cloud import CloudException

from tests.current_client import current_client
from tests.polling import until

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
        with pytest.warns(UserWarning, match="it does not stop jobs") as said:
            jid = cloud.call(time.sleep, 300, _label="long")
        assert __file__ in {each.filename for each in said}

        with pytest.raises(CloudException, match="killed because a budget was reached"):
            cloud.result(jid)
        until(_is_refused, "another process has read what was spent", 60.0)
        cloud.delete(jid)

        (spent,) = [each["spent"] for each in cloud.budget.list() if each["per"] is None]
        assert spent >= 0.00001
        (row,) = cloud.usage(by="label")
        assert row.cost >= 0.00001


def test_a_map_is_refused_before_its_arguments_are_sent(client: Client, stack: Stack) -> None:
    """None of them is stored, however many there are."""
    key = client.keys.create_account("of a budget that is reached").key
    with contextlib.closing(stack.client(key)) as own, current_client(own):
        cloud.budget.set(0, label="large")
        with pytest.raises(CloudException, match="for the label 'large' is reached"):
            cloud.map(len, [os.urandom(900_000) for _ in range(20)], _label="large")

        assert own.usage().blobs.size < 900_000


def _is_refused() -> bool:
    """Whether a job with the label is refused, and the error says so."""
    try:
        cloud.call(abs, -1, _label="long")
    except CloudException as error:
        return str(error).startswith(
            "The budget of $0.00001 in all for the label 'long' is reached"
        )
    return False


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
        with pytest.raises(CloudException, match="There is no budget per day; `picloud"):
            cloud.budget.remove("day", account=account)
