"""Statuses as users pass them, to wait for: one, or several any of which is enough."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from picloud_model.job import ENDED, Status

from cloud.errors import CloudException, CloudValueError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def read_statuses(test_status: object) -> list[str]:
    """Return the names of statuses, from one or an iterable of them.

    Raises:
        CloudException: When there is none, or one is unknown.

    >>> read_statuses("done")
    ['done']
    """
    names = [test_status] if isinstance(test_status, str) else test_status
    known = [status.value for status in Status]
    if not isinstance(names, Iterable) or not (listed := list(names)) or set(listed) - set(known):
        raise CloudValueError(
            f"test_status must be one of {', '.join(known)}, or a list of them, "
            f"not {test_status!r:.80}."
        )
    return listed


def check_reachable(others: Mapping[int, str], statuses: Sequence[str]) -> None:
    """Refuse to wait for a status that a job can never have: a final status does not change.

    Raises:
        CloudException: When one of the jobs, whose statuses are given by jid, has a final status.
    """
    for jid, status in others.items():
        if status in ENDED:
            names = _or(statuses)
            raise CloudException(f"ended as {status} and will never be {names}.", jid, status)


def _or(names: Sequence[str]) -> str:
    return " or ".join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else names[0]
