"""Shares: requests of one account that could take more than its share of the server."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from uuid import uuid4

from picloud_model.pack import seal, write

if TYPE_CHECKING:
    from tests.attacks.sender import Sender

JOBS = 200
REPEATS = 90_000


def blocked_map(sender: Sender) -> list[int]:
    """Submit jobs of a pool that no machine offers; return the first and the last jid."""
    pack = base64.b64encode(write([seal(b"x")] * JOBS)).decode()
    body = {
        "submit_id": uuid4().hex,
        "kind": "map",
        "count": JOBS,
        "envelope": ["3.11", "3.1.0"],
        "function": ["", 9, base64.b64encode(seal(b"x")).decode()],
        "function_name": "f",
        "options": {"core_type": "f2", "cores": 16},
        "parts": [[0, JOBS, ["", 0, pack]]],
    }
    made = sender.send("POST", "/v1/jobs", body).body()
    return [made["first"], made["first"] + made["count"] - 1]


def test_many_waits_for_the_same_jobs_get_all_outcomes(sender: Sender) -> None:
    """They share one reply, whether they began before or after the jobs ended."""
    jids = blocked_map(sender)
    body = {"jids": [jids], "timeout_s": 15}
    with ThreadPoolExecutor(40) as threads:
        waits = [threads.submit(sender.send, "POST", "/v1/jobs/wait", body) for _ in range(40)]
        killed = sender.send("POST", "/v1/jobs/kill", {"jids": [jids]}).body()
        replies = [wait.result(30).body() for wait in waits]

    assert killed["count"] == JOBS
    for reply in replies:
        assert [outcome[0] for outcome in reply["outcomes"]] == list(range(jids[0], jids[1] + 1))


def test_a_jid_that_is_repeated_counts_once(sender: Sender) -> None:
    """A request with the same jid again and again is answered as if it named it once."""
    first, last = blocked_map(sender)
    jids = [[first, first]] * REPEATS

    killed = sender.send("POST", "/v1/jobs/kill", {"jids": jids})
    waited = sender.send("POST", "/v1/jobs/wait", {"jids": jids, "timeout_s": 5})

    assert killed.body() == {"count": 1}
    assert [outcome[0] for outcome in waited.body()["outcomes"]] == [first]
    sender.send("POST", "/v1/jobs/kill", {"jids": [[first, last]]})
