"""`picloud du`, on every stack."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloud._client.client import Client

    from tests.e2e.command_line import Exited

WAIT_S = 60.0


def test_what_is_stored_is_shown(other: Client, picloud: Callable[..., Exited]) -> None:
    """A large result is a blob, and counts as one; objects of the bucket are counted as well.

    What the first account has may shrink meanwhile, as jobs of other tests end.
    """

    def du(*options: str) -> str:
        return picloud("--api-key", other.address.key, "du", *options).out

    before = json.loads(du("--json"))
    other.result(other.call(os.urandom, 1_000_000), WAIT_S)
    other.bucket.put_object(b"x" * 300_000, "du")

    after = json.loads(du("--json"))
    other.bucket.remove(["du"])

    assert after["blobs"]["bytes"] - before["blobs"]["bytes"] >= 1_000_000
    assert after["jobs"]["count"] > before["jobs"]["count"]
    assert after["objects"]["bytes"] - before["objects"]["bytes"] == 300_000
    assert after["objects"]["count"] - before["objects"]["count"] == 1
    kind, jobs, blobs, objects, total = du().splitlines()
    assert kind == "kind\tcount\tsize"
    kinds = [line.split("\t")[0] for line in (jobs, blobs, objects, total)]
    assert kinds == ["job records", "blobs", "objects", "total"]
    assert total.endswith("MB")
