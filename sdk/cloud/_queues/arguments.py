"""Arguments of queues: names, seconds and classes of exceptions, checked."""

from __future__ import annotations

import math
import re
from numbers import Real
from typing import Any, Final

import msgspec
from picloud_model.wire.queue import MAX_DELAY_S, MAX_QUEUE_NAME

from cloud._arguments.option_values import whole
from cloud._client.queue_messages import PICKLE
from cloud.errors import CloudTypeError, CloudValueError

_NAME: Final = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_QUEUE_NAME}}}")


class Target(msgspec.Struct, frozen=True):
    """A queue that a handler pushes into, how its messages are encoded, and their delay."""

    queue: str
    encoding: str
    delay_s: float = 0.0


def queue_name(name: Any) -> str:
    """Return the name of a queue.

    Raises:
        CloudException: When it is not allowed.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise CloudValueError(
            f"{name!r:.80} is not a valid queue name: use 1 to {MAX_QUEUE_NAME} letters, digits, "
            "hyphens and underscores."
        )
    return name


def seconds(name: str, value: Any, least: float, most: float) -> float:
    """Return a number of seconds.

    Raises:
        CloudException: When it is not a number, or out of range.
    """
    return _between(f"{name} is a number of seconds,", value, least, most)


def number(name: str, value: Any, least: float, most: float) -> float:
    """Return a number.

    Raises:
        CloudException: When it is not one, or out of range.
    """
    return _between(f"{name} is", value, least, most)


def _between(what: str, value: Any, least: float, most: float) -> float:
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    number = float(value) if is_number else math.nan
    if not least <= number <= most:
        limit = f"{least:,.0f} or more" if math.isinf(most) else f"{least:,.0f} to {most:,.0f}"
        raise CloudValueError(f"{what} {limit}, not {value!r:.80}.")
    return number


def count(name: str, value: Any, least: int, most: int) -> int:
    """Return a whole number.

    Raises:
        CloudException: When it is not one, or out of range.
    """
    number = whole(value)
    if number is None or not least <= number <= most:
        raise CloudValueError(f"{name} is {least:,} to {most:,}, not {value!r:.80}.")
    return number


def target(value: Any, delay: Any = 0) -> Target:
    """Return the queue to push into, which is given as a `CloudQueue` or by its name."""
    delay_s = seconds("delay", delay, 0, MAX_DELAY_S)
    if isinstance(value, str):
        return Target(queue_name(value), PICKLE, delay_s)
    if not hasattr(value, "encoding"):
        raise CloudTypeError(f"Expected a queue or the name of one, not {value!r:.80}.")
    return Target(queue_name(value.name), value.encoding, delay_s)


def exceptions(name: str, value: Any) -> tuple[type[BaseException], ...]:
    """Return classes of exceptions, which are given as one or as a list."""
    listed = [value] if isinstance(value, type) else value
    try:
        classes = tuple(listed)
    except TypeError:
        classes = (None,)
    for each in classes:
        if not isinstance(each, type) or not issubclass(each, BaseException):
            raise CloudTypeError(f"{name} takes classes of exceptions, not {value!r:.80}.")
    return classes
