"""`picloud wait-for`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from picloud import exits

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.sdk.fake_server import FakeServer


def test_a_status_that_is_reached(run: Callable[..., Any], server: FakeServer) -> None:
    """Nothing is printed unless JSON is requested."""
    server.next_jid = 2
    server.done(1, None)

    assert run("wait-for", "status", "1", "done,error").output == ""
    assert json.loads(run("wait-for", "status", "1", "done", "--json").stdout) == [
        {"jid": 1, "status": "done"}
    ]


def test_a_status_that_never_comes(run: Callable[..., Any], server: FakeServer) -> None:
    """Exit code 3 for a failed job, 1 for one that is done, 4 after a timeout."""
    server.next_jid = 4
    server.failed(1, ValueError("no"))
    server.done(2, None)

    assert run("wait-for", "status", "1", "done").exit_code == exits.JOB_FAILED
    assert run("wait-for", "status", "2", "error").exit_code == exits.OTHER
    assert run("wait-for", "status", "3", "done", "-t", "0").exit_code == exits.TIMEOUT
    assert run("wait-for", "status", "3", "finished").exit_code == exits.USAGE


def test_a_port_is_printed_as_an_address(run: Callable[..., Any], server: FakeServer) -> None:
    """In the form that curl takes."""
    server.next_jid = 2
    server.infos[1] = {
        "status": "processing",
        "ports": {"tcp": {8000: {"address": "10.0.0.1", "port": 31000}}},
    }

    outcome = run("wait-for", "port", "1", "8000", "-t", "1")

    assert (outcome.exit_code, outcome.stdout) == (exits.OK, "10.0.0.1:31000\n")


def test_a_private_port_has_no_address(run: Callable[..., Any], server: FakeServer) -> None:
    """Nothing is printed that a script could take for one; the hint says what reaches it."""
    server.next_jid = 2
    private = {"address": None, "port": None}
    server.infos[1] = {"status": "processing", "ports": {"tcp": {8000: private}}}

    outcome = run("wait-for", "port", "1", "8000", "-t", "1")

    assert (outcome.exit_code, outcome.stdout) == (exits.OK, "")
    assert "picloud forward 1 8000" in outcome.stderr
