"""`picloud top`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from picloud.commands import top

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.sdk.fake_server import FakeServer


def test_in_a_pipe_the_table_is_printed_once(run: Callable[..., Any], server: FakeServer) -> None:
    """Only unfinished jobs are requested: running ones first, with what they use, then maps."""
    server.list_batch(2, processing=1, queued=1)
    server.infos[1] = {"cpu_percentage": 97.4, "memory.usage": 22_749_184}

    lines = run("top").stdout.splitlines()

    assert lines[0] == "jid\tstatus\tfunction\tlabel\tsince\tcpu\tmemory"
    assert [line.split("\t")[0] for line in lines[1:]] == ["1", "2", "1-2"]
    assert lines[1].split("\t")[-2:] == ["97 %", "22.7 MB"]
    assert lines[3].split("\t")[1] == "1 processing, 1 queued"
    assert server.asked_lists[-1].statuses == ["processing"]
    assert server.asked_batches[-1].statuses == ["processing", "queued", "waiting"]


@pytest.mark.usefixtures("server")
def test_in_a_pipe_standard_error_says_that_there_are_no_jobs(run: Callable[..., Any]) -> None:
    """Standard output has the names of the columns, as with jobs."""
    done = run("top")

    assert done.stdout.split("\t")[0] == "jid"
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == "No unfinished jobs.\n"


def test_a_summary_counts_everything_and_what_is_cut(server: FakeServer) -> None:
    """Half of the rows are for running jobs, the others for calls and maps, the oldest first."""
    for _ in range(6):
        server.list_batch(2, processing=1, queued=1)

    summary, rows, cut = top.read(4, time.time())

    assert summary == "6 processing, 6 queued, 2 slots"
    assert [row[0] for row in rows] == [1, 2, "1-2", "3-4"]
    assert cut == "and 10 more running jobs and 4 more calls and maps"
