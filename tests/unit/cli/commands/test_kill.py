"""`picloud kill`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from picloud import exits

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.sdk.fake_server import FakeServer


def test_kill_names_jobs_or_all(run: Callable[..., Any], server: FakeServer) -> None:
    """Either of them; the number of killed jobs is on standard error."""
    assert "3 unfinished jobs" in run("kill", "7,9-10").stderr
    run("kill", "7", "8", "11")  # as processes are named to kill(1)
    run("kill", "--all")

    assert server.killed == [[(7, 7), (9, 10)], [(7, 8), (11, 11)], None]


@pytest.mark.parametrize(
    "arguments",
    [
        ("kill",),
        ("kill", "7", "--all"),
        ("kill", "all"),
        ("delete", "all"),
    ],
)
def test_a_usage_error_exits_with_2(
    run: Callable[..., Any], server: FakeServer, arguments: tuple[Any, ...]
) -> None:
    """No request is sent."""
    outcome = run(*arguments)

    assert outcome.exit_code == exits.USAGE
    assert outcome.stdout == ""
    assert "Traceback" not in outcome.stderr
    assert server.sent == []
