"""Reading and checking the values of options; each function is for one option.

All are called with the option's name, for the message, and the value the user gave.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Final, get_args

from picloud_model import ranges
from picloud_model.core import CORE_TYPES
from picloud_model.wire import (
    LARGEST_PORT,
    MAX_LABEL,
    MAX_PATH,
    MAX_PORTS,
    MAX_PRIORITY,
    MAX_RUNTIME_S,
    MAX_SEED,
    MAX_VARIABLES_BYTES,
    DependencyErrors,
)
from picloud_model.wire.body import MAX_SHORT_LABEL, is_short_label
from picloud_model.wire.job import OLD_BASES
from picloud_model.wire.tunnel import PortAccess
from picloud_model.wire.webhook import MAX_URL

from cloud._arguments import jids
from cloud._config import settings
from cloud.errors import CloudException, CloudTypeError, CloudValueError

if TYPE_CHECKING:
    from picloud_model.ranges import Range

SERIALIZATIONS: Final = {0: "enhanced", 1: "enhanced, no search for culprits", 2: "plain pickle"}
"""The ways to pickle arguments and results, by the number that selects each."""
_OURS: Final = "PICLOUD_"


def truth(name: str, value: Any) -> bool:
    """Return True or False; nothing else is accepted."""
    if not isinstance(value, bool):
        raise CloudTypeError(f"{name} must be True or False, not {value!r:.80}.")
    return value


def short_label(label: Any) -> str:
    """Return the label of something that an account keeps: a cron job, an endpoint."""
    if not is_short_label(label):
        raise CloudValueError(
            f"{label!r:.80} is not a valid label: use up to {MAX_SHORT_LABEL} letters, digits, "
            "hyphens, underscores and dots."
        )
    return str(label)


def core_type(name: str, value: Any) -> str:
    """Return the name of a core type."""
    if not isinstance(value, str) or value not in CORE_TYPES:
        known = ", ".join(CORE_TYPES)
        raise CloudTypeError(f"{name} must be one of the core types {known}, not {value!r:.80}.")
    return value


def cores(name: str, value: Any) -> int:
    """Return a number of cores; whether the core type supports it is checked later."""
    number = whole(value)
    if number is None:
        raise CloudTypeError(f"{name} must be a number of cores, not {value!r:.80}.")
    return number


def environment(name: str, value: Any) -> str | None:
    """Return the name of an environment, or None."""
    if value is None:
        return None
    if not isinstance(value, str) or not value:
        raise CloudTypeError(f"{name} must be the name of an environment, not {value!r:.80}.")
    if value in OLD_BASES:
        warnings.warn(
            f"{value} no longer exists: jobs run on the base with your Python, as without {name}. "
            "picloud env list-bases lists the bases.",
            stacklevel=7,  # the line of the user's code that calls cloud.call
        )
    return value


def volumes(name: str, value: Any) -> list[str]:
    """Return names of volumes, from one name or an iterable of names."""
    return _names(name, value, "volume")


def secrets(name: str, value: Any) -> list[str]:
    """Return names of secrets, from one name or an iterable of names."""
    return _names(name, value, "secret")


def _names(name: str, value: Any, kind: str) -> list[str]:
    listed = [value] if isinstance(value, str) else _listed(value)
    if listed is None or not all(isinstance(each, str) and each for each in listed):
        raise CloudTypeError(
            f"{name} must be the name of a {kind}, or a list of names, not {value!r:.80}."
        )
    return listed


def directory(name: str, value: Any) -> str | None:
    """Return the absolute path of a directory, or None."""
    if value is None:
        return None
    if not isinstance(value, (str, os.PathLike)) or not (text := os.fspath(value)):
        raise CloudTypeError(f"{name} must be the path of a directory, not {value!r:.80}.")
    path = os.path.abspath(os.path.expanduser(os.fsdecode(text)))  # noqa: PTH100, PTH111
    if len(path) > MAX_PATH:
        raise CloudValueError(f"{name} is longer than {MAX_PATH:,} characters.")
    return path


def webhook(name: str, value: Any) -> str | None:
    """Return the URL to which the end of jobs is posted, or None; the server checks it."""
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > MAX_URL:
        raise CloudTypeError(
            f"{name} must be a URL as 'https://example.org/jobs', of at most {MAX_URL:,} "
            f"characters, not {value!r:.80}."
        )
    return value


def label(name: str, value: Any) -> str | None:
    """Return ASCII text, or None."""
    if value is None:
        return None
    if not isinstance(value, str) or not value.isascii() or len(value) > MAX_LABEL:
        raise CloudTypeError(
            f"{name} must be ASCII text of at most {MAX_LABEL} characters, not {value!r:.80}."
        )
    return value


def priority(name: str, value: Any) -> int:
    """Return a whole number; jobs with lower numbers run first."""
    number = whole(value)
    if number is None or not 0 <= number <= MAX_PRIORITY:
        raise CloudTypeError(
            f"{name} must be a whole number from 0 (first) to {MAX_PRIORITY}, not {value!r:.80}."
        )
    return number


def seed(name: str, value: Any) -> int | None:
    """Return the whole number that random numbers depend on, or None for unrelated numbers."""
    if value is None:
        return None
    number = whole(value)
    if number is None or not 0 <= number <= MAX_SEED:
        raise CloudTypeError(
            f"{name} must be a whole number from 0 to {MAX_SEED:,}, or None, not {value!r:.80}."
        )
    return number


def dependencies(name: str, value: Any) -> tuple[Range, ...]:
    """Return the jobs to wait for, from one jid, an iterable of jids, or None."""
    if value is None:
        return ()
    try:
        return tuple(ranges.collapse(jids.read_jids(value).order))
    except CloudException:
        raise CloudTypeError(
            f"{name} must be a jid, or an iterable of jids, not {value!r:.80}."
        ) from None


def dependency_errors(name: str, value: Any) -> str:
    """Return what happens to the job if a dependency fails."""
    if value not in get_args(DependencyErrors):
        known = " or ".join(map(repr, get_args(DependencyErrors)))
        raise CloudTypeError(f"{name} must be {known}, not {value!r:.80}.")
    return str(value)


def max_runtime(name: str, value: Any) -> float | None:
    """Return minutes as seconds; None for no limit."""
    if value is None:
        return None
    minutes = real(value)
    if minutes is None or not 0 < minutes * 60 <= MAX_RUNTIME_S:
        raise CloudTypeError(
            f"{name} must be minutes, more than 0 and at most {MAX_RUNTIME_S // 60:,} (a year), "
            f"or None, not {value!r:.80}."
        )
    return minutes * 60


def variables(name: str, value: Any) -> dict[str, str]:
    """Return environment variables, from a dict or from names of variables that are set here."""
    if isinstance(value, Mapping):
        by_name = dict(value)
    else:
        names = [value] if isinstance(value, str) else _listed(value)
        if names is None or not all(isinstance(each, str) for each in names):
            raise CloudTypeError(
                f"{name} must be names of environment variables that are set here, or a dict of "
                f"names and values, not {value!r:.80}."
            )
        by_name = settings.read_variables(names)
        if missing := [each for each in names if each not in by_name]:
            raise CloudValueError(
                f"{name} names the environment variable {missing[0]!r:.80}, which is not set here: "
                "set it, or give a dict of names and values."
            )
    for variable, text in by_name.items():
        _check_variable(name, variable, text)
    if sum(len(variable) + len(text) for variable, text in by_name.items()) > MAX_VARIABLES_BYTES:
        raise CloudValueError(
            f"{name} may hold {MAX_VARIABLES_BYTES:,} characters at most, in all."
        )
    return by_name


def _check_variable(name: str, variable: Any, text: Any) -> None:
    if not isinstance(variable, str) or not variable or "=" in variable or "\0" in variable:
        raise CloudValueError(f"{name}: {variable!r:.80} cannot name an environment variable.")
    if not isinstance(text, str) or "\0" in text:
        raise CloudTypeError(f"{name}: the value of {variable} must be text, not {text!r:.80}.")
    if variable.startswith(_OURS):
        raise CloudValueError(f"{name}: {variable} is the platform's own, as all of {_OURS}* are.")


def ports(name: str, value: Any) -> dict[int, PortAccess]:
    """Return who may connect to which ports, from a dict."""
    if not isinstance(value, Mapping) or any(
        each not in get_args(PortAccess) for each in value.values()
    ):
        known = " or ".join(map(repr, get_args(PortAccess)))
        raise CloudTypeError(
            f"{name} must be a dict of ports, each {known}: {{8000: 'public'}}, not {value!r:.80}."
        )
    if len(value) > MAX_PORTS:
        raise CloudValueError(f"{name} may name {MAX_PORTS} ports at most.")
    return {port_number(port, name=f"{name}: port"): value[port] for port in value}


def callbacks(name: str, value: Any) -> tuple[Callable[[int], Any], ...]:
    """Return functions of a jid, from one function, a list of functions, or None."""
    if value is None:
        return ()
    listed = [value] if callable(value) else _listed(value)
    if listed is None or not all(callable(each) for each in listed):
        raise CloudTypeError(
            f"{name} must be a function of a jid, or a list of functions, not {value!r:.80}."
        )
    return tuple(listed)


def serialization(name: str, value: Any) -> int:
    """Return the number of a way to pickle arguments and results."""
    number = whole(value)
    if number not in SERIALIZATIONS:
        known = ", ".join(f"{number} ({what})" for number, what in SERIALIZATIONS.items())
        raise CloudTypeError(f"{name} must be one of {known}, not {value!r:.80}.")
    return number


def whole(value: Any) -> int | None:
    """Return a whole number of any type (NumPy's, too) as an int; None for anything else.

    >>> whole(5), whole(True), whole(5.0)
    (5, None, None)
    """
    return int(value) if isinstance(value, Integral) and not isinstance(value, bool) else None


def port_number(value: object, least: int = 1, name: str = "port") -> int:
    """Return the number of a port; errors begin with `name`.

    >>> port_number(8000)
    8000
    """
    number = whole(value)
    if number is None or not least <= number <= LARGEST_PORT:
        raise CloudValueError(
            f"{name} must be a whole number from {least} to {LARGEST_PORT}, not {value!r:.80}."
        )
    return number


def real(value: Any) -> float | None:
    """Return a finite number of any type as a float; None for anything else.

    >>> real(5), real(True), real(math.inf)
    (5.0, None, None)
    """
    if not isinstance(value, Real) or isinstance(value, bool) or not math.isfinite(value):
        return None
    return float(value)


def _listed(value: Any) -> list[Any] | None:
    """Return an iterable's items; None for what is not one, and for text and mappings."""
    wrong = isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable)
    return None if wrong else list(value)


def seconds(timeout: object) -> float | None:
    """Return a timeout in seconds, or None for no limit.

    Raises:
        CloudTypeError: When it is neither a number from 0 nor None.

    >>> seconds(2), seconds(None)
    (2.0, None)
    """
    if timeout is None:
        return None
    number = isinstance(timeout, Real) and not isinstance(timeout, bool)
    value = float(timeout) if number else -1.0  # type: ignore[arg-type]
    if not value >= 0:
        raise CloudTypeError(f"timeout must be seconds from 0, or None, not {timeout!r}.")
    return value
