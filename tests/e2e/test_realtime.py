"""`cloud.realtime` and `picloud realtime`, on every stack."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import cloud
import pytest
from cloud import CloudException

from tests.current_client import current_client
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cloud._client.client import Client

    from tests.e2e.command_line import Exited
    from tests.e2e.stacks import Stack


def test_jobs_run_on_reserved_cores(client: Client, stack: Stack) -> None:
    """From when they have started; they cost something until they are released, and jobs go on."""
    key = client.keys.create_account("of reserved cores").key
    with contextlib.closing(stack.client(key)) as own, current_client(own):
        number = cloud.realtime.request("c1", 1, max_duration=3)["request_id"]
        try:
            until(lambda: _reservation(number)["start_time"] is not None, "its slot runs", 120.0)
            assert cloud.result(cloud.call(pow, 2, 10)) == 1024
            with pytest.raises(CloudException, match="this server has"):
                cloud.realtime.request("c1", 10_000)
            changed = cloud.realtime.change_max_duration(number)
            assert (changed["max_duration"], changed["end_time"]) == (None, None)
        finally:
            cloud.realtime.release(number)

        assert cloud.realtime.list() == []
        rows = {row.group: row for row in cloud.usage(by="label")}
        assert rows["reserved cores"].cost > 0
        assert (rows["reserved cores"].jobs, rows[""].jobs) == (0, 1)


def test_those_of_other_accounts_do_not_exist(client: Client, other: Client) -> None:
    """They can be neither seen nor changed nor ended."""
    with current_client(client):
        number = cloud.realtime.request("c1", 1)["request_id"]
    try:
        with current_client(other):
            assert number not in {each["request_id"] for each in cloud.realtime.list()}
            for act in (cloud.realtime.release, cloud.realtime.change_max_duration):
                with pytest.raises(CloudException, match=f"no reservation {number} in your acc"):
                    act(number)
    finally:
        with current_client(client):
            cloud.realtime.release(number)


def _reservation(number: int) -> Mapping[str, Any]:
    (reservation,) = cloud.realtime.list(number)
    return reservation


def test_reservations_from_the_shell(picloud: Callable[..., Exited]) -> None:
    """The command prints the number only; another account's reservation does not exist."""
    number = picloud("realtime", "request", "c1", "1", "-m", "0.5").out.strip()
    try:
        listed = json.loads(picloud("realtime", "list", "--json").out)
        assert [each["max_duration"] for each in listed if str(each["request_id"]) == number] == [
            0.5
        ]
    finally:
        picloud("realtime", "release", number)
    unknown = picloud("realtime", "release", "999999999")
    assert (unknown.code, unknown.out) == (1, "")
    assert "There is no reservation 999999999 in your account" in unknown.err
    bad = picloud("realtime", "request", "c9", "1")
    assert (bad.code, bad.out) == (2, "")
