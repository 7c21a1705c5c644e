"""`picloud account`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.sdk.fake_server import FakeServer


def test_create_prints_the_first_key_only(run: Callable[..., Any], server: FakeServer) -> None:
    """So that a script can store it."""
    assert run("account", "create", "data science").stdout == "pk_000000000001_secret\n"
    assert json.loads(run("account", "create", "x", "--json").stdout)["account"] == "a2"

    assert server.accounts == ["first", "data science", "x"]


def test_accounts_are_listed(run: Callable[..., Any], server: FakeServer) -> None:
    """With the number of their active keys."""
    assert run("account", "list").stdout.splitlines()[1].startswith("a1\tfirst\t")
    assert json.loads(run("account", "list", "--json").stdout) == [
        {"id": "a1", "name": "first", "created": "1970-01-01T00:01:40+00:00", "active_keys": 1}
    ]
