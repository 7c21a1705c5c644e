"""`picloud audit`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from picloud import exits

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.sdk.fake_server import FakeServer


def test_entries_are_listed_newest_first(run: Callable[..., Any], server: FakeServer) -> None:
    """A table has 50 of them; what was refused is marked."""
    lines = run("audit").stdout.splitlines()

    assert lines[0] == "time\twho\tfrom\toperation\tdetails"
    assert len(lines) == 51
    assert lines[1].split("\t")[1:] == ["ada", "::1", "keys", "id=1999 refused: key.not_found"]
    assert len(run("audit", "-n", "3").stdout.splitlines()) == 4


def test_all_entries_are_exported(run: Callable[..., Any], server: FakeServer) -> None:
    """As CSV or JSON, more than one request returns."""
    rows = run("audit", "--csv").stdout.splitlines()
    listed = json.loads(run("audit", "--json").stdout)

    assert rows[0] == "time,who,key,address,operation,details,refused"
    assert (len(rows), len(listed)) == (2001, 2000)
    assert (listed[-1]["person"], listed[-1]["details"]) == ("ada", "id=0")
    assert run("audit", "--csv", "--json").exit_code == exits.USAGE
