"""Options of `call` and `map`: the keyword arguments that begin with an underscore."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

from picloud_model.core import CORE_TYPES
from picloud_model.wire import Options

from cloud.errors import CloudException

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_MAX_LABEL: Final = 200
_MAX_PRIORITY: Final = 1000


def split(keywords: Mapping[str, Any]) -> tuple[Options, dict[str, Any]]:
    """Part the options from the keyword arguments of the user's function.

    Returns:
        The options, and the arguments that are the function's.

    Raises:
        CloudException: When an option is unknown or has a value it cannot have.

    >>> split({"_type": "f2", "_cores": 4, "x": 1})
    (Options(core_type='f2', cores=4, label=None, priority=5, restartable=True), {'x': 1})
    """
    if not keywords:
        return _NO_OPTIONS, {}
    arguments = {name: value for name, value in keywords.items() if not name.startswith("_")}
    if len(arguments) == len(keywords):
        return _NO_OPTIONS, arguments
    fields: dict[str, Any] = {}
    for name, value in keywords.items():
        if name.startswith("_"):
            field, check = _known(name)
            check(name, value)
            fields[field] = value
    options = Options(**fields)
    _check_multiple(options)
    return options, arguments


def _known(name: str) -> tuple[str, Callable[[str, Any], None]]:
    if name in _FIELDS:
        return _FIELDS[name]
    near = get_close_matches(name, _FIELDS, 1, 0.5)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(_FIELDS)}."
    raise CloudException(
        f"There is no option {name}; {hint} "
        "(Keyword arguments that begin with an underscore are options.)"
    )


def _core_type(name: str, value: Any) -> None:
    if not isinstance(value, str) or value not in CORE_TYPES:
        raise CloudException(
            f"{name} must be one of the core types {', '.join(CORE_TYPES)}, not {value!r}."
        )


def _cores(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise CloudException(f"{name} must be a number of cores, not {value!r}.")


def _label(name: str, value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, str) or not value.isascii() or len(value) > _MAX_LABEL:
        raise CloudException(
            f"{name} must be ASCII text of at most {_MAX_LABEL} characters, not {value!r:.80}."
        )


def _priority(name: str, value: Any) -> None:
    wrong = isinstance(value, bool) or not isinstance(value, int)
    if wrong or not 0 <= value <= _MAX_PRIORITY:
        raise CloudException(
            f"{name} must be a whole number from 0 (first) to {_MAX_PRIORITY}, not {value!r}."
        )


def _restartable(name: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise CloudException(f"{name} must be True or False, not {value!r}.")


def _check_multiple(options: Options) -> None:
    core = CORE_TYPES[options.core_type]
    if options.cores not in core.multiples:
        allowed = ", ".join(map(str, core.multiples))
        raise CloudException(
            f"A job on {core.name} may have {allowed} cores (_cores), not {options.cores}; "
            + "; ".join(
                f"{other.name}: {', '.join(map(str, other.multiples))}"
                for other in CORE_TYPES.values()
            )
            + "."
        )


_NO_OPTIONS: Final = Options()
_FIELDS: Final[dict[str, tuple[str, Callable[[str, Any], None]]]] = {
    "_type": ("core_type", _core_type),
    "_cores": ("cores", _cores),
    "_label": ("label", _label),
    "_priority": ("priority", _priority),
    "_restartable": ("restartable", _restartable),
}
