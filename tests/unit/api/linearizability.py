"""Whether what many clients saw of one job could have happened one after the other.

That is linearizability: each operation has its effect at one moment between its request and its
answer. The search is that of Wing and Gong. Jobs are independent, so each has a history of its own.
"""

from __future__ import annotations

import math
from typing import NamedTuple

FINAL = ("done", "killed")


class Seen(NamedTuple):
    """One operation on a job, with the moments of its request and its answer, and the answer.

    An operation whose answer was lost may have its effect at any later moment, or never: its answer
    is None.
    """

    began: float
    ended: float
    what: str
    answer: str | None
    attempt: int = 0


class Job(NamedTuple):
    """A job: `open`, `doomed` (killed, but not ended by its slot yet) or how it ended."""

    status: str = "open"
    attempt: int = 0
    """The attempt that holds it; 0 if none does."""


def results(job: Job, seen: Seen) -> list[Job]:
    """Return what a job may be after an operation; nothing if it cannot have had that answer."""
    return _EFFECTS[seen.what](job, seen)


def _read(job: Job, seen: Seen) -> list[Job]:
    if job.status == "doomed":
        return [job] if seen.answer == "open" else _if(seen.answer == "killed", Job("killed"))
    return _if(seen.answer in (None, job.status), job)


def _kill(job: Job, seen: Seen) -> list[Job]:
    if seen.answer == "deleted":
        return _if(job.status == "deleted", job)
    return [job._replace(status="doomed") if job.status == "open" else job]


def _lease(job: Job, seen: Seen) -> list[Job]:
    return _if(job.status == "open" and not job.attempt, Job("open", seen.attempt))


def _report(job: Job, seen: Seen) -> list[Job]:
    # A job that ends before the kill arrives at its slot has a result.
    if job.status in ("open", "doomed") and job.attempt == seen.attempt:
        return [Job("done")]
    return [job]


def _delete(job: Job, seen: Seen) -> list[Job]:
    if seen.answer == "deleted":
        return _if(job.status == "deleted", job)
    if seen.answer == "refused":
        return _if(job.status in ("open", "doomed"), job)
    return _if(job.status in (*FINAL, "doomed"), Job("deleted"))


def _if(is_possible: bool, job: Job) -> list[Job]:
    return [job] if is_possible else []


_EFFECTS = {
    "read": _read,
    "kill": _kill,
    "lease": _lease,
    "report": _report,
    "delete": _delete,
}


def is_linearizable(history: list[Seen]) -> bool:
    """Return whether some order of the operations explains all answers."""
    ordered = sorted(history)
    visited: set[tuple[int, Job]] = set()

    def explained(left: int, job: Job) -> bool:
        if (left, job) in visited:
            return False
        visited.add((left, job))
        waiting = [seen for at, seen in enumerate(ordered) if left >> at & 1]
        if all(seen.answer is None for seen in waiting):
            return True
        # An operation cannot come after one that began when it had ended.
        first_end = min(_end(seen) for seen in waiting)
        return any(
            explained(left & ~(1 << at), after)
            for at, seen in enumerate(ordered)
            if left >> at & 1 and seen.began <= first_end
            for after in results(job, seen)
        )

    return explained((1 << len(ordered)) - 1, Job())


def _end(seen: Seen) -> float:
    return math.inf if seen.answer is None else seen.ended
