"""`cloud.cron`, `cloud.shell.cron_register` and `picloud cron`, on every stack.

Due times are tested with a clock of their own, in tests/unit/api.
"""

from __future__ import annotations

import json
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

import cloud
import pytest
from cloud import CloudException, cron

from tests.current_client import current_client

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloud._client.client import Client

    from tests.e2e.command_line import Exited

BASE = 40


def answer(add: int = 2) -> int:
    """Return a number that needs a global of this module."""
    return BASE + add


def test_cron_jobs_from_python(client: Client) -> None:
    """A function travels when it is registered; its runs are jobs as any other."""
    with current_client(client):
        cron.register(answer, "nightly", "30 2 * * *", timezone="Europe/Berlin", _type="c1")
        assert "nightly" in cron.list()
        before = cron.info("nightly")
        assert (before["last_jid"], before["function"]) == (None, "tests.e2e.test_cron.answer")
        assert time.time() < before["next"][0] <= time.time() + 25 * 3600
        assert before["next"] == sorted(before["next"])

        jid = cron.manual_run("nightly")

        assert cloud.result(jid, timeout=60) == 42
        after = cron.info("nightly")
        assert (after["last_jid"], after["last_status"]) == (jid, "done")
        assert cloud.info(jid, "parent")[jid]["parent"] == "cron nightly"
        cron.register(partial(answer, 3), "nightly", "@hourly")
        assert cloud.result(cron.manual_run("nightly"), timeout=60) == 43
        cron.deregister("nightly")
        assert "nightly" not in cron.list()
        for gone in (cron.info, cron.manual_run, cron.deregister):
            with pytest.raises(CloudException, match="There is no cron job 'nightly'"):
                gone("nightly")


def test_what_cannot_run_on_a_schedule_is_refused(client: Client) -> None:
    """One sentence says why; nothing is registered."""
    with current_client(client):
        for schedule, reason in (
            ("0 0 31 2 *", "no such day"),
            ("0 0 0 * * *", "five fields"),
            ("", "five fields"),
        ):
            with pytest.raises(CloudException, match=reason):
                cron.register(answer, "refused", schedule)
        with pytest.raises(CloudException, match="no time zone 'Mars'"):
            cron.register(answer, "refused", "@daily", timezone="Mars")
        with pytest.raises(TypeError, match="missing a required argument"):
            cron.register(lambda day: day, "refused", "@daily")
        with pytest.raises(CloudException, match="not a valid label"):
            cron.register(answer, "no label", "@daily")
        with pytest.raises(CloudException, match="missed is 'skip' or 'run'"):
            cron.register(answer, "refused", "@daily", missed="always")
        with pytest.raises(CloudException, match="no _depends_on"):
            cron.register(answer, "refused", "@daily", _depends_on=[1])
        with pytest.raises(CloudException, match="no argument 'day'"):
            cron.register(answer, "refused", "@daily", day=1)
        lock = threading.Lock()
        with pytest.raises(CloudException, match=r"variable 'lock' is a _thread\.lock"):
            cron.register(lambda: lock, "refused", "@daily")
        assert "refused" not in cron.list()


def test_commands_on_a_schedule(client: Client) -> None:
    """A shell command is registered as it would be run."""
    with current_client(client):
        cloud.shell.cron_register("echo one; exit 3", "shell", "@daily", ignore_exit_status=True)

        assert cloud.result(cron.manual_run("shell"), timeout=60) == "one\n"

        cron.deregister("shell")


def test_cron_jobs_from_the_shell(picloud: Callable[..., Exited]) -> None:
    """Register, list, info, run, deregister; an unknown label is an error in one line."""
    made = picloud("cron", "register", "--overlap", "skip", "tick", "*/5 * * * *", "echo", "a  b")
    assert (made.code, made.out, made.err) == (0, "", "")

    rows = [line.split("\t") for line in picloud("cron", "list").out.splitlines()]
    assert rows[0][:3] == ["label", "schedule", "timezone"]
    assert ["tick", "*/5 * * * *", "UTC"] in [row[:3] for row in rows]
    jid = picloud("cron", "run", "tick").out.strip()
    assert picloud("result", jid).out == "a  b\n"
    known = json.loads(picloud("cron", "info", "tick", "--json").out)
    assert (known["last_jid"], known["overlap"]) == (int(jid), "skip")
    assert f"last_jid\t{jid}\n" in picloud("cron", "info", "tick").out
    assert "tick" in picloud("jobs", "--label", "tick").out
    assert picloud("cron", "deregister", "tick").code == 0

    unknown = picloud("cron", "run", "tick")
    assert (unknown.code, unknown.out) == (1, "")
    assert unknown.err.startswith("error: There is no cron job 'tick' in your account")
    wrong = picloud("cron", "register", "tick", "* * *", "date")
    assert "must have five fields" in wrong.err
