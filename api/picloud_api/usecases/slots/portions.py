"""Portions: the reports of one request, as many at a time as fit a transaction."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from picloud_model.page import PAGE_JOBS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_model.wire import JobReport, Report

REPORT_BYTES: Final = 192 * 1024
"""The most bytes of results in one transaction; more are committed in several."""


def portions(reports: Sequence[Report], batches: int) -> list[list[Report]]:
    """Split reports into portions that fit a transaction; at least one, which may be empty."""
    made: list[list[Report]] = [[]]
    room = REPORT_BYTES
    for report in reports:
        start = 0
        if len(made[-1]) == batches:
            made.append([])
            room = REPORT_BYTES
        for at, job in enumerate(report.ended):
            size = 16 + len(job.payload) + (len(job.info.data or b"") if job.info else 0)
            if room < size and (at > start or made[-1]):
                _append(made[-1], report, start, at)
                made.append([])
                start, room = at, REPORT_BYTES
            room -= size
        _append(made[-1], report, start, len(report.ended))
    return made


def _append(portion: list[Report], report: Report, start: int, stop: int) -> None:
    if start == 0 and stop == len(report.ended):
        portion.append(report)
    elif stop > start:
        portion.append(type(report)(report.batch, report.envelope, report.ended[start:stop]))


def by_page(ended: Sequence[JobReport]) -> dict[int, list[JobReport]]:
    """Return the jobs of a batch that ended, by the numbers of their pages."""
    pages: dict[int, list[JobReport]] = defaultdict(list)
    for job in ended:
        pages[job.index // PAGE_JOBS].append(job)
    return pages
