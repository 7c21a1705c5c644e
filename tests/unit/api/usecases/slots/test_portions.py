"""Portions of reports: each fits a transaction, and all together are what was reported."""

from __future__ import annotations

from picloud_api.usecases.slots.portions import REPORT_BYTES, by_page, portions
from picloud_model.page import PAGE_JOBS
from picloud_model.wire import JobReport, Report

from tests.unit.api.api_harness import ENVELOPE


def report(batch: str, *sizes: int) -> Report:
    """Report jobs of a batch with results of these sizes."""
    ended = [
        JobReport(
            index=at, attempt=1, state=4, cause=0, started_at=0, finished_at=0, payload=bytes(size)
        )
        for at, size in enumerate(sizes)
    ]
    return Report(batch, ENVELOPE, ended)


def test_few_small_reports_are_one_portion() -> None:
    """No report is one, too: a request may only ask for work."""
    few = [report("a", 1, 1), report("b", 1)]

    assert portions(few, 3) == [few]
    assert portions([], 3) == [[]]


def test_portions_hold_so_many_batches() -> None:
    """Each of them takes some operations of a transaction."""
    many = [report(name, 1) for name in "abcde"]

    assert portions(many, 2) == [many[:2], many[2:4], many[4:]]


def test_large_results_are_split() -> None:
    """A batch continues in the next portion; a result that is larger than one is alone."""
    half = REPORT_BYTES // 2
    large = report("a", half, half, 2 * REPORT_BYTES, 1)

    split = portions([large], 3)

    assert [[len(each.ended) for each in portion] for portion in split] == [[1], [1], [1], [1]]
    assert [job for portion in split for each in portion for job in each.ended] == large.ended


def test_jobs_are_found_by_page() -> None:
    """Their indexes say which."""
    first, second = report("a", 1, 1).ended
    far = JobReport(index=PAGE_JOBS, attempt=1, state=4, cause=0, started_at=0, finished_at=0)

    assert by_page([first, far, second]) == {0: [first, second], 1: [far]}
