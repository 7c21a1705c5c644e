"""Shares: requests of one account that could take more than its share of the server."""

from __future__ import annotations

import base64
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from picloud_model.pack import seal, write

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloud._client.client import Client

    from tests.attacks.sender import Sender

JOBS = 200
REPEATS = 90_000


@pytest.fixture
def blocker(client: Client) -> Iterator[int]:
    """A job that does not end before the test does."""
    jid = client.call(time.sleep, 600)
    yield jid
    client.kill(jid)


def blocked_map(sender: Sender, blocker: int) -> list[int]:
    """Submit jobs that wait for another one; return the first and the last jid."""
    pack = base64.b64encode(write([seal(b"x")] * JOBS)).decode()
    body = {
        "submit_id": uuid4().hex,
        "kind": "map",
        "count": JOBS,
        "envelope": ["3.11", "3.1.0"],
        "function": ["", 9, base64.b64encode(seal(b"x")).decode()],
        "function_name": "f",
        "depends_on": [[blocker, blocker]],
        "parts": [[0, JOBS, ["", 0, pack]]],
    }
    made = sender.send("POST", "/v1/jobs", body).body()
    return [made["first"], made["first"] + made["count"] - 1]


def test_many_waits_for_the_same_jobs_get_all_outcomes(sender: Sender, blocker: int) -> None:
    """They share one reply, whether they began before or after the jobs ended."""
    jids = blocked_map(sender, blocker)
    body = {"jids": [jids], "timeout_s": 15}
    with ThreadPoolExecutor(40) as threads:
        waits = [threads.submit(sender.send, "POST", "/v1/jobs/wait", body) for _ in range(40)]
        killed = sender.send("POST", "/v1/jobs/kill", {"jids": [jids]}).body()
        replies = [wait.result(30).body() for wait in waits]

    assert killed["count"] == JOBS
    for reply in replies:
        assert [outcome[0] for outcome in reply["outcomes"]] == list(range(jids[0], jids[1] + 1))


def test_a_jid_that_is_repeated_counts_once(sender: Sender, blocker: int) -> None:
    """A request with the same jid again and again is answered as if it named it once."""
    first, last = blocked_map(sender, blocker)
    jids = [[first, first]] * REPEATS

    killed = sender.send("POST", "/v1/jobs/kill", {"jids": jids})
    waited = sender.send("POST", "/v1/jobs/wait", {"jids": jids, "timeout_s": 5})

    assert killed.body() == {"count": 1}
    assert [outcome[0] for outcome in waited.body()["outcomes"]] == [first]
    sender.send("POST", "/v1/jobs/kill", {"jids": [[first, last]]})
