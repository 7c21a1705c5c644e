"""`picloud delete`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.sdk.fake_server import FakeServer


def test_delete_tells_how_many(run: Callable[..., Any], server: FakeServer) -> None:
    """On standard error, or as JSON on standard output."""
    outcome = run("delete", "1,5-6")

    assert (outcome.stdout, outcome.stderr) == ("", "3 jobs deleted.\n")
    assert server.deleted == [(1, 1), (5, 6)]
    assert json.loads(run("delete", "1", "--json").stdout) == {"deleted": 1}
