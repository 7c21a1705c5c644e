"""`picloud top`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.sdk.fake_server import FakeServer


def test_in_a_pipe_the_table_is_printed_once(run: Callable[..., Any], server: FakeServer) -> None:
    """Only unfinished jobs are requested."""
    server.next_jid = 3

    lines = run("top").stdout.splitlines()

    assert lines[0] == "jid\tstatus\tsince\tlabel\tfunction"
    assert [line.split("\t")[0] for line in lines[1:]] == ["2", "1"]
    assert server.asked_lists[-1].statuses == ["processing", "queued", "waiting"]
