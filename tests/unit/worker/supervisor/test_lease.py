"""The jobs that a slot holds: waiting, given, ended or returned, whatever happens."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from picloud_model.job import Cause, State
from picloud_model.pack import INLINE_BYTES, Envelope, unseal
from picloud_model.wire import (
    AttemptRef,
    Content,
    Failure,
    JobReport,
    Lease,
    LeasedJob,
    Options,
    PackPart,
    decode,
)
from picloud_worker.ipc.scoreboard import StartedJob
from picloud_worker.supervisor.lease import REPORT_BYTES, HeldJobs, OutOfTurnError

HERE = Envelope("3.11", "3.1")


def lease(batch: str = "a", indexes: range = range(3), bundle: str = "") -> Lease:
    """Return a lease of some jobs of a batch, each at its first attempt."""
    jobs = [LeasedJob(index, 1, b"") for index in indexes]
    return Lease(
        batch=batch,
        first=1,
        envelope=HERE,
        function=Content("f"),
        function_name="f",
        bundle=bundle,
        options=Options(),
        jobs=jobs,
    )


def hold(*leases: Lease) -> HeldJobs:
    """Return the jobs of a slot that has just got these leases."""
    held = HeldJobs(HERE, lambda: 5.0)
    held.take(leases)
    return held


def done(index: int, payload: bytes = b"") -> JobReport:
    """Return the report of a job that is done."""
    return JobReport(
        index=index,
        attempt=1,
        state=State.DONE,
        cause=Cause.NONE,
        started_at=1.0,
        finished_at=2.0,
        payload=payload,
    )


def indexes(leases: object) -> list[int]:
    """Return the indexes of the jobs of some leases."""
    return [job.index for lease in leases for job in lease.jobs]  # type: ignore[attr-defined]


def test_an_assignment_has_one_bundle() -> None:
    """Jobs of another bundle wait for the next assignment."""
    held = hold(lease("a", bundle="x"), lease("b", bundle="x"), lease("c", bundle="y"))

    assert [one.batch for one in held.assign(1, 100)] == ["a", "b"]
    assert [one.batch for one in held.waiting] == ["c"]


def test_an_assignment_has_the_blobs_of_its_first_lease() -> None:
    """What was fetched for the first lease is all that the child can open."""
    packs = [PackPart(0, 3, Content(name * 64, 300_000)) for name in "pq"]
    alike = [replace(lease(batch), pack=packs[0]) for batch in "ab"]
    other, without = replace(lease("c"), pack=packs[1]), lease("d")
    held = hold(*alike, other, without)

    assert [one.batch for one in held.assign(1, 100)] == ["a", "b"]
    assert [one.batch for one in held.assign(2, 100)] == ["c", "d"]


def test_jobs_that_want_an_unused_interpreter_follow_no_others() -> None:
    """They begin an assignment, for which the executor takes a new child."""
    own = replace(lease("b"), options=Options(kill_process=True))
    jobs = hold(lease("a"), own, lease("c"))

    assert [[each.batch for each in jobs.assign(1, 10)] for _ in range(3)] == [["a"], ["b"], ["c"]]


def test_an_assignment_is_bounded() -> None:
    """A lease with more jobs than a child may get at once is split."""
    held = hold(lease(indexes=range(5)))

    assert indexes(held.assign(1, 2)) == [0, 1]
    assert indexes(held.waiting) == [2, 3, 4]


def test_jobs_are_reported_in_the_order_of_their_ends() -> None:
    """They are reported until the server has acknowledged them."""
    held = hold(lease("a", range(2)), lease("b", range(1)))
    held.assign(1, 100)
    for position, index in enumerate((0, 1, 0)):
        held.done(held.given[0], 1, position, done(index))

    pending = held.pending_report()
    held.ended.append(("c", done(9)))

    assert [(r.batch, [e.index for e in r.ended]) for r in pending.reports] == [
        ("a", [0, 1]),
        ("b", [0]),
    ]
    assert held.idle
    held.acknowledge(pending)
    assert [report.batch for report in held.pending_report().reports] == ["c"]


@pytest.mark.parametrize(
    ("generation", "position", "report"),
    [
        (2, 0, done(0)),
        (1, 1, done(1)),
        (1, 0, done(1)),
        (
            1,
            0,
            JobReport(
                index=0, attempt=2, state=State.DONE, cause=0, started_at=1.0, finished_at=2.0
            ),
        ),
        (
            1,
            0,
            JobReport(
                index=0, attempt=1, state=State.QUEUED, cause=0, started_at=1.0, finished_at=2.0
            ),
        ),
        (
            1,
            0,
            JobReport(
                index=0, attempt=1, state=State.ERROR, cause=99, started_at=1.0, finished_at=2.0
            ),
        ),
        (1, 0, replace(done(0), blob=Content("../../x", 1))),
        (1, 0, replace(done(0), started_at=float("nan"))),
        (1, 0, replace(done(0), finished_at=float("inf"))),
    ],
)
def test_a_child_reports_only_its_job(generation: int, position: int, report: JobReport) -> None:
    """A report of another job than the one whose turn it is, or of no end, is refused."""
    held = hold(lease())
    held.assign(1, 100)

    with pytest.raises(OutOfTurnError):
        held.done(held.given[0], generation, position, report)

    assert len(held.given) == 3


def test_jobs_taken_back_wait_in_order() -> None:
    """The jobs that a child has not started wait again, before those that arrived later."""
    held = hold(lease("a", range(3)), lease("b", range(2)))
    held.assign(1, 100)
    held.take([lease("c", range(1))])

    held.take_back(4)

    assert [(one.batch, indexes([one])) for one in held.waiting] == [
        ("a", [1, 2]),
        ("b", [0, 1]),
        ("c", [0]),
    ]
    assert [entry.job.index for entry in held.given] == [0]


def test_jobs_handed_back_are_reported_until_acknowledged() -> None:
    """Returned jobs are no longer held, and named until the server has acknowledged them."""
    held = hold(lease("a", range(2)))

    held.hand_back()
    pending = held.pending_report()

    assert held.idle
    assert (
        pending.returned
        == held.pending_report().returned
        == [AttemptRef("a", 0, 1), AttemptRef("a", 1, 1)]
    )
    held.acknowledge(pending)
    assert held.pending_report().returned == []


def test_a_crash_is_charged_to_one_job() -> None:
    """It is the job that the child ran; those it had not started wait again."""
    held = hold(lease())
    held.assign(1, 100)
    held.done(held.given[0], 1, 0, done(0))

    victim = held.child_exited(StartedJob(1, 1, 4.0))

    assert victim is not None
    assert victim.job.index == 1
    assert indexes(held.waiting) == [2]
    assert not held.given


@pytest.mark.parametrize("started", [None, StartedJob(1, 0, 4.0), StartedJob(0, 1, 4.0)])
def test_a_crash_between_jobs_is_charged_to_none(started: StartedJob | None) -> None:
    """None is charged when the last job started has ended, or is of an earlier assignment."""
    held = hold(lease())
    held.assign(1, 100)
    held.done(held.given[0], 1, 0, done(0))

    assert held.child_exited(started) is None
    assert indexes(held.waiting) == [1, 2]


def test_the_job_that_was_seen_is_charged() -> None:
    """A job cannot hide by changing the record of its child."""
    held = hold(lease())
    held.assign(1, 100)
    seen = held.head

    assert held.child_exited(None, seen) is seen
    assert indexes(held.waiting) == [1, 2]


def test_reports_that_the_server_refuses_become_failures() -> None:
    """Each job that the refused request reported ends with the refusal, and only once."""
    held = hold(lease())
    held.assign(1, 100)
    held.done(held.given[0], 1, 0, done(0))
    pending = held.pending_report()
    failure = Failure(cause=Cause.PAYLOAD, message="refused")

    assert held.refuse_reports(pending, failure)

    (report,) = held.pending_report().reports
    assert [(each.state, each.cause) for each in report.ended] == [(State.ERROR, Cause.PAYLOAD)]
    assert not held.refuse_reports(held.pending_report(), failure)


def test_a_waiting_job_is_killed() -> None:
    """It alone ends as killed; killing a job that is not here does nothing."""
    held = hold(lease())

    held.kill(AttemptRef("a", 1, 1))
    held.kill(AttemptRef("a", 1, 1))
    held.kill(AttemptRef("a", 2, 7))

    (report,) = held.pending_report().reports
    (ended,) = report.ended
    assert (ended.index, ended.state, ended.cause) == (1, State.KILLED, Cause.KILLED)
    assert decode(bytes(unseal(ended.payload)), Failure).message == "killed by its user"
    assert indexes(held.waiting) == [0, 2]


def test_a_refused_lease_fails_as_a_whole() -> None:
    """Each of its jobs ends with the failure; other leases are not affected."""
    held = hold(lease("a", range(2)), lease("b", range(1)))

    held.refuse(held.waiting[0], Failure(cause=Cause.ENVIRONMENT, message="no module"))

    (report,) = held.pending_report().reports
    assert [(e.index, e.state, e.cause) for e in report.ended] == [
        (0, State.ERROR, Cause.ENVIRONMENT),
        (1, State.ERROR, Cause.ENVIRONMENT),
    ]
    assert indexes(held.waiting) == [0]


def test_a_report_is_bounded() -> None:
    """Results over the bound wait for the next request; a single one is always sent."""
    held = hold(lease(indexes=range(3)))
    held.assign(1, 100)
    for index in range(3):
        held.done(held.given[0], 1, index, done(index, bytes(REPORT_BYTES * 2 // 3)))

    first = held.pending_report()
    held.acknowledge(first)

    assert (first.ended, first.complete) == (1, False)
    assert held.pending_report().ended == 1


def test_large_results_are_listed() -> None:
    """Results that are too large to travel inline are listed until they are settled as blobs."""
    held = hold(lease(indexes=range(2)))
    held.assign(1, 100)
    held.done(held.given[0], 1, 0, done(0, b"small"))
    held.done(held.given[0], 1, 1, done(1, bytes(INLINE_BYTES + 1)))

    ((at, ended),) = held.large()
    held.settle(
        at,
        JobReport(
            index=1,
            attempt=1,
            state=State.DONE,
            cause=0,
            started_at=1.0,
            finished_at=2.0,
            payload=b"",
            blob=Content("d", ended.index),
        ),
    )

    assert held.large() == ()
    assert held.ended_bytes == len(b"small")


class ServerLog:
    """What a server would learn of each job: how often it was returned or ended."""

    def __init__(self) -> None:
        self.ended: list[int] = []
        self.returned: list[int] = []


@given(st.lists(st.sampled_from(["assign", "done", "back", "hand", "die", "report"]), max_size=60))
def test_no_job_is_lost_or_reported_twice(steps: list[str]) -> None:
    """In any order of events, each job is in exactly one place."""
    held, server, generation = hold(lease(indexes=range(9))), ServerLog(), 0
    for step in steps:
        if step == "assign" and not held.given:
            generation += 1
            held.assign(generation, 4)
        elif step == "done" and held.given:
            entry = held.given[0]
            held.done(entry, entry.generation, entry.position, done(entry.job.index))
        elif step == "back":
            held.take_back(max(0, len(held.given) - 1))
        elif step == "hand":
            held.hand_back()
        elif step == "die" and held.given:
            victim = held.child_exited(
                StartedJob(held.given[0].generation, held.given[0].position, 0.0)
            )
            assert victim is not None
            held.fail("a", victim.job, Failure(cause=Cause.EXIT, message="died"))
        elif step == "report":
            pending = held.pending_report()
            server.ended += [ended.index for report in pending.reports for ended in report.ended]
            server.returned += [job.index for job in pending.returned]
            held.acknowledge(pending)

    pending = held.pending_report()
    server.ended += [ended.index for report in pending.reports for ended in report.ended]
    server.returned += [job.index for job in pending.returned]
    assert sorted([job.index for job in held.refs()] + server.ended + server.returned) == [
        *range(9)
    ]


@pytest.mark.parametrize(
    ("takes_files", "blob"),
    [
        (False, Content("0" * 64, INLINE_BYTES + 1)),
        (True, Content("../../x", INLINE_BYTES + 1)),
        (True, Content("0" * 64, INLINE_BYTES)),
        (True, Content("0" * 64, INLINE_BYTES + 1, b"data")),
    ],
)
def test_only_a_large_result_may_be_in_a_file(*, takes_files: bool, blob: Content) -> None:
    """A child names a blob only where it may write one, by a digest, and not another path."""
    held = hold(lease(indexes=[0]))
    held.takes_files = takes_files
    held.assign(1, 4)

    with pytest.raises(OutOfTurnError):
        held.done(held.given[0], 1, 0, replace(done(0), payload=b"", blob=blob))


def test_a_written_result_is_listed_until_the_server_has_it() -> None:
    """It is named to the server before it is reported."""
    held = hold(lease(indexes=[0]))
    held.takes_files = True
    held.assign(1, 4)
    blob = Content("0" * 64, INLINE_BYTES + 1)
    held.done(held.given[0], 1, 0, replace(done(0), payload=b"", blob=blob))

    ((at, report),) = held.large()
    held.settle(at, report)

    assert not held.large()
    assert held.pending_report().reports[0].ended[0].blob == blob
