"""`cloud.realtime`: cores that are reserved for your jobs, so that they begin at once.

cloud.realtime.request("c2", 8, max_duration=2)
cloud.realtime.list()
cloud.realtime.release(1)
"""

from __future__ import annotations

import builtins  # noqa: TC003 - `list` has another meaning here
import math
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from picloud_model.pack import PYTHON
from picloud_model.wire.realtime import MAX_HOURS, MAX_RESERVED, ReserveCoresRequest

from cloud._arguments.option_values import whole
from cloud._client.current import client
from cloud._config.border import of_users
from cloud._resources.realtime import RealtimeClient
from cloud.errors import CloudException, CloudTypeError, CloudValueError

if TYPE_CHECKING:
    from picloud_model.wire.realtime import Reservation

__all__ = ["change_max_duration", "list", "release", "request"]


@of_users
def request(
    type: str,  # noqa: A002 - its name in the original client
    cores: int,
    max_duration: float | None = None,
    *,
    job_cores: int = 1,
    env: str | None = None,
) -> dict[str, Any]:
    """Reserve cores: slots run on them whether or not you have jobs, and your jobs use them first.

    They cost what cores of their type cost, from when all of them run until they are released;
    the jobs that run on them cost what jobs cost.

    Args:
        type: The core type: "c1", "c2", "f2", "m1" or "s1".
        cores: How many cores.
        max_duration: The hours after which the reservation ends; None to hold it until you
            release it.
        job_cores: How many cores each of the jobs has that they are for (`_cores`).
        env: The environment of the jobs (`_env`); None for the base.

    Returns:
        What `list` returns for the reservation.

    Raises:
        CloudException: When an argument is not valid, the server does not have so many cores, or
            others have reserved them.

    Source: `cloud.realtime.request` of PiCloud; `job_cores` and `env` are new.

    >>> reserved = cloud.realtime.request("c1", 1, max_duration=0.5)
    >>> reserved["type"], reserved["cores"], reserved["max_duration"]
    ('c1', 1, 0.5)
    >>> cloud.realtime.release(reserved["request_id"])
    """
    asked = ReserveCoresRequest(
        request_id=uuid.uuid4().hex,
        core_type=_text("type", type),
        cores=_whole("cores", cores, MAX_RESERVED),
        job_cores=_whole("job_cores", job_cores, 16),
        hours=_hours("max_duration", max_duration),
        env=env,
        python=PYTHON,
    )
    return _shown(_client().reserve(asked))


@of_users
def list(request_id: Any = "") -> builtins.list[dict[str, Any]]:  # noqa: A001 - original's name
    """Return the reservations of your account that have not ended, the oldest first.

    Args:
        request_id: Only this one.

    Returns:
        For each a dict: `request_id`; `type`; `cores`; `job_cores`; `env`; `start_time`, when all
        of its slots ran for the first time, or None; `max_duration` in hours, or None; `end_time`,
        or None; `cost` until now in dollars, None without a price.

    Raises:
        CloudException: When there is no such reservation.

    >>> reserved = cloud.realtime.request("c1", 1)
    >>> [each["cores"] for each in cloud.realtime.list(reserved["request_id"])]
    [1]
    >>> cloud.realtime.release(reserved["request_id"])
    """
    found = _client().list()
    if request_id in ("", None):
        return [_shown(each) for each in found]
    number = _number(request_id)
    chosen = [_shown(each) for each in found if each.id == number]
    if not chosen:
        raise CloudException(f"There is no reservation {number} that has not ended.")
    return chosen


@of_users
def release(request_id: Any) -> None:
    """End a reservation now. Jobs that run on its cores go on; one that has ended stays so.

    Args:
        request_id: The reservation.

    Raises:
        CloudException: When there is no such reservation.

    >>> reserved = cloud.realtime.request("c1", 1)
    >>> cloud.realtime.release(reserved["request_id"])
    >>> cloud.realtime.list()
    []
    """
    _client().release(_number(request_id))


@of_users
def change_max_duration(request_id: Any, new_max_duration: float | None = None) -> dict[str, Any]:
    """Change how long a reservation lasts.

    Args:
        request_id: The reservation.
        new_max_duration: The hours, counted from its start; None to hold it until you release it.
            If they are over, it ends now.

    Returns:
        What `list` returns for the reservation.

    Raises:
        CloudException: When there is no such reservation, or it has ended.

    >>> reserved = cloud.realtime.request("c1", 1)
    >>> cloud.realtime.change_max_duration(reserved["request_id"], 8)["max_duration"]
    8.0
    >>> cloud.realtime.release(reserved["request_id"])
    """
    hours = _hours("new_max_duration", new_max_duration)
    return _shown(_client().change(_number(request_id), hours))


def _client() -> RealtimeClient:
    return RealtimeClient(client().transport)


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise CloudTypeError(f"{name} is a text such as 'c1', not {value!r:.80}.")
    return value


def _whole(name: str, value: Any, most: int) -> int:
    number = whole(value)
    if number is None:
        raise CloudTypeError(f"{name} is a whole number, not {value!r:.80}.")
    if not 1 <= number <= most:
        raise CloudValueError(f"{name} is from 1 to {most:,}, not {number}.")
    return number


def _hours(name: str, value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CloudTypeError(f"{name} is a number of hours or None, not {value!r:.80}.")
    if not math.isfinite(value) or not 0 < value <= MAX_HOURS:
        raise CloudValueError(
            f"{name} is more than 0 hours and at most {MAX_HOURS:,.0f}, not {value!r:.80}."
        )
    return float(value)


def _number(request_id: Any) -> int:
    """Return the number of a reservation, which scripts may have as a text.

    >>> _number("12")
    12
    """
    text = str(request_id)
    if isinstance(request_id, bool) or not (text.isascii() and text.isdigit()) or int(text) < 1:
        raise CloudValueError(
            f"request_id is the number of a reservation, as in cloud.realtime.list(), not "
            f"{request_id!r:.80}."
        )
    return int(text)


def _shown(reservation: Reservation) -> dict[str, Any]:
    return {
        "request_id": reservation.id,
        "type": reservation.core_type,
        "cores": reservation.cores,
        "job_cores": reservation.job_cores,
        "env": reservation.env,
        "start_time": _time(reservation.started_at),
        "max_duration": reservation.hours,
        "end_time": _time(reservation.until_at),
        "cost": reservation.cost,
    }


def _time(moment: float | None) -> datetime | None:
    return None if moment is None else datetime.fromtimestamp(moment, UTC).astimezone()


def __dir__() -> builtins.list[str]:
    return sorted(__all__)
