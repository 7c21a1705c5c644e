"""`cloud.progress`: how far a job is, as its user sees it from outside."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any, Final

from cloud._arguments.option_values import real
from cloud._config.border import of_users
from cloud._config.settings import ClientSettings
from cloud._http.job_socket import SupervisorClient
from cloud.errors import CloudTypeError

_PAUSE_S: Final = 0.1
"""More calls within this time are dropped, except for the last step."""


class _Reported:
    """Of which job the last progress was reported, and when."""

    jid: int | None = None
    at = 0.0


@of_users
def progress(done: float, total: float | None = None) -> None:
    """Say how far this job is; outside of a job nothing happens.

    It may be called often: of the calls within a tenth of a second the first one counts, and the
    one that reaches `total`. `cloud.info(jid, "progress")` shows it while the job runs.

    Args:
        done: What is done so far, in any unit, from 0.
        total: What there is to do, in the same unit; None if that is not known.

    Raises:
        CloudTypeError: When a value is not a number from 0.

    >>> def work(items):
    ...     for number, item in enumerate(items, 1):
    ...         cloud.progress(number, len(items))
    ...     return number
    >>> work("abc"), cloud.result(cloud.call(work, "abc"))
    (3, 3)
    """
    done, total = _number("done", done), None if total is None else _number("total", total)
    settings = ClientSettings.read()
    now = time.monotonic()
    is_early = settings.jid == _Reported.jid and now - _Reported.at < _PAUSE_S
    if settings.job_socket is None or (is_early and done != total):
        return
    _Reported.jid, _Reported.at = settings.jid, now
    with suppress(OSError):  # a job does not fail because its progress is not seen
        SupervisorClient(settings.job_socket).progress(done, total)


def _number(name: str, value: Any) -> float:
    number = real(value)
    if number is None or number < 0:
        raise CloudTypeError(f"{name} must be a number from 0, not {value!r:.80}.")
    return number
