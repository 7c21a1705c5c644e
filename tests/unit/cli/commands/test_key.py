"""`picloud key`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from picloud import exits

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.sdk.fake_server import FakeServer


def test_create_prints_the_key_only(run: Callable[..., Any], server: FakeServer) -> None:
    """So that a script can store it."""
    assert run("key", "create").stdout == "pk_000000000001_secret\n"
    assert json.loads(run("key", "create", "--json").stdout) == {
        "key": "pk_000000000002_secret",
        "account": "a1",
    }


def test_keys_are_listed_without_secrets(run: Callable[..., Any], server: FakeServer) -> None:
    """The key in use is marked."""
    run("key", "create")

    lines = run("key", "list").stdout.splitlines()

    assert lines[0] == "id\tstatus\tcreated\tin use\trole\tmember"
    assert [line.split("\t")[0] for line in lines[1:]] == ["12ab", "000000000001"]
    assert [line.split("\t")[3] for line in lines[1:]] == ["this one", ""]


def test_a_key_can_be_deactivated_and_activated(
    run: Callable[..., Any], server: FakeServer
) -> None:
    """By its id or as a whole; the list can leave it out meanwhile."""
    whole = run("key", "create").stdout.strip()

    assert run("key", "deactivate", whole).stderr == "Key 000000000001 is deactivated.\n"
    listed = json.loads(run("key", "list", "--active", "--json").stdout)
    assert [key["id"] for key in listed] == ["12ab"]
    assert run("key", "activate", "000000000001").stderr == "Key 000000000001 is active.\n"


def test_an_unknown_key_is_one_line(run: Callable[..., Any], server: FakeServer) -> None:
    """The server's sentence."""
    outcome = run("key", "activate", "ffffffffffff")

    assert outcome.exit_code == exits.OTHER
    assert len(outcome.stderr.splitlines()) == 1


def test_a_key_id_that_is_malformed_is_a_usage_error(run: Callable[..., Any]) -> None:
    """The message ends with the form of a key as it is written elsewhere."""
    outcome = run("key", "deactivate", "abc")

    assert outcome.exit_code == exits.USAGE
    assert "give a key, or the ID in pk_ID_... Try '" in outcome.stderr
