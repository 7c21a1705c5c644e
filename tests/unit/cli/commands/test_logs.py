"""`picloud logs`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from picloud.commands import logs

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from tests.unit.sdk.fake_server import FakeServer


def test_logs_keep_the_streams_apart(run: Callable[..., Any], server: FakeServer) -> None:
    """Stdout on stdout, stderr on stderr, not a character more."""
    server.infos[2] = {"stdout": "c\n", "stderr": "oh\n"}

    outcome = run("logs", "2")

    assert (outcome.stdout, outcome.stderr) == ("c\n", "oh\n")


def test_following_goes_on_until_the_end(
    server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """What comes in between is shown once, the last line too."""
    job = server.infos[1] = {"status": "queued", "stdout": "", "stderr": ""}
    steps = iter([("queued", ""), ("processing", "erste "), ("processing", "Zeile ü\n"),
                  ("done", ""), ("done", "the last")])  # fmt: skip

    def go_on(_: int) -> None:
        job["status"], more = next(steps, ("done", ""))
        job["stdout"] += more

    server.on_info = go_on

    logs.follow_streams(1, ["stdout", "stderr"], poll_s=0)

    assert capsys.readouterr().out == "erste Zeile ü\nthe last"
