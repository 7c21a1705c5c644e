"""The output of jobs is printed once, as it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloud._display.output import JobOutput

from tests.unit.sdk._display.printing_jobs import PrintingJobs

if TYPE_CHECKING:
    import pytest


def test_output_is_printed_as_it_comes(capsys: pytest.CaptureFixture[str]) -> None:
    """Each character once, to the stream that the job wrote it to."""
    jobs = PrintingJobs(7)
    output = JobOutput([7], jobs)
    output.print_new()
    jobs.statuses[7], jobs.stdout[7] = "processing", "one\ntw"
    output.print_new()
    first = capsys.readouterr()
    jobs.stdout[7], jobs.stderr[7] = "one\ntwo\n", "careful\n"
    output.print_new()
    second = capsys.readouterr()
    jobs.statuses[7], jobs.stdout[7] = "done", "one\ntwo\nlast"
    output.finish()
    third = capsys.readouterr()

    assert (first.out, first.err) == ("one\ntw", "")
    assert (second.out, second.err) == ("o\n", "careful\n")
    assert (third.out, third.err) == ("last\n", "")


def test_lines_of_several_jobs_begin_with_the_jid(capsys: pytest.CaptureFixture[str]) -> None:
    """Lines are never mixed: what has no end yet waits for it."""
    jobs = PrintingJobs(7, 8)
    output = JobOutput([7, 8], jobs)
    jobs.statuses = dict.fromkeys((7, 8), "processing")
    jobs.stdout = {7: "a", 8: "b\n"}
    output.print_new()
    jobs.stdout[7] = "aa\nc"
    output.print_new()
    jobs.statuses = dict.fromkeys((7, 8), "error")

    output.finish()

    assert capsys.readouterr().out == "[8] b\n[7] aa\n[7] c\n"


def test_jobs_that_ended_are_read_together(capsys: pytest.CaptureFixture[str]) -> None:
    """A thousand quick jobs cost one request."""
    jids = range(1, 1001)
    jobs = PrintingJobs(*jids)
    jobs.statuses = dict.fromkeys(jids, "done")
    jobs.stdout = {jid: f"job {jid}\n" for jid in jids}
    output = JobOutput(jids, jobs)

    output.print_new()
    output.print_new()
    output.finish()

    assert capsys.readouterr().out.splitlines() == [f"[{jid}] job {jid}" for jid in jids]
    assert jobs.requests == 1


def test_nothing_is_read_of_jobs_that_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    """At the end a slot would have to be asked, which takes a second."""
    jobs = PrintingJobs(7, 8)
    jobs.statuses = {7: "error", 8: "processing"}
    jobs.stdout = {7: "failed\n", 8: "busy\n"}

    JobOutput([7, 8], jobs).finish()

    assert capsys.readouterr().out == "[7] failed\n"


def test_nothing_is_requested_of_silent_jobs(capsys: pytest.CaptureFixture[str]) -> None:
    """The reply with their results says that they have printed nothing."""
    jobs = PrintingJobs(7, 8)
    jobs.statuses = dict.fromkeys((7, 8), "done")
    jobs.stdout[8] = "loud\n"
    silent, mixed = JobOutput([7], jobs), JobOutput([7, 8], jobs)
    for output in (silent, mixed):
        output.leave_out([7])

    silent.finish()
    before = jobs.requests
    mixed.finish()

    assert (before, jobs.requests) == (0, 1)
    assert capsys.readouterr().out == "[8] loud\n"
