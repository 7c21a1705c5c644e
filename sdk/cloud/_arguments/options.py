"""Options of `call` and `map`: the keyword arguments that begin with an underscore."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import msgspec
from picloud_model.core import CORE_TYPES
from picloud_model.errors import nearest_name
from picloud_model.ranges import Range
from picloud_model.wire import DependencyErrors, Options, Reuse

from cloud._arguments import option_values as values
from cloud.errors import CloudValueError

Callback = Callable[[int], Any]

HIGH_CPU: Final = "c2"
"""The core type that the deprecated `_high_cpu` means."""


class ReuseFinder(Protocol):
    """Finds out, while a batch is packed, which earlier batch would be the same."""

    def note(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Take note of the arguments of the next job."""

    def request(self, bundle: str, options: Options) -> Reuse:
        """Return which earlier batch is the same as one with these modules and options."""


class ArraySharing(Protocol):
    """Has arrays travel once that the arguments of several jobs of one function have."""

    def reduced(self, array: Any) -> Any:
        """Return how an array is pickled in arguments; NotImplemented for with its data."""

    def packed(self, pack: Callable[[Callable[..., Any]], Any]) -> Any:
        """Return the function with the arrays, packed; None if there are no such arrays."""


class CallOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options of a call or a map.

    `options` says how the jobs run. They start when the jobs in `depends_on` have ended. When a job
    ends, this process calls the functions in `callback` with its jid if it is done, and those in
    `callback_on_error` if it ended in any other way. Lists show `name` instead of the function's.
    With `jobs_as_values` jobs in the arguments arrive as their results. `reuse` finds out which
    earlier jobs may be returned in place of new ones. With `arrays` those that several jobs have
    are sent once, and the limit of arguments is the server's, whatever
    `cloud.config.max_transmit_data` is.
    """

    options: Options = Options()
    depends_on: tuple[Range, ...] = ()
    depends_on_errors: DependencyErrors = "abort"
    callback: tuple[Callback, ...] = ()
    callback_on_error: tuple[Callback, ...] = ()
    name: str | None = None
    jobs_as_values: bool = False
    reuse: ReuseFinder | None = None
    arrays: ArraySharing | None = None

    @property
    def needs_submitter(self) -> bool:
        """Whether they refer to other jobs, or to functions of the process that submits."""
        return bool(self.depends_on or self.callback or self.callback_on_error)


def split_options(kwargs: Mapping[str, Any]) -> tuple[CallOptions, dict[str, Any]]:
    """Separate the options from the keyword arguments of the user's function.

    Returns:
        The options, and the keyword arguments that are the function's.

    Raises:
        CloudException: When an option is unknown or its value is invalid.

    >>> chosen, kwargs = split_options({"_type": "f2", "_cores": 4, "x": 1})
    >>> chosen.options.core_type, chosen.options.cores, kwargs
    ('f2', 4, {'x': 1})
    """
    if not kwargs:
        return _DEFAULTS, {}
    own = {name: value for name, value in kwargs.items() if not name.startswith("_")}
    if len(own) == len(kwargs):
        return _DEFAULTS, own
    fields: dict[str, Any] = {}
    for name, value in kwargs.items():
        if name.startswith("_"):
            field, read = _field(name)
            fields[field] = read(name, value)
    _replace_high_cpu(fields)
    run = {field: fields.pop(field) for field in Options.__struct_fields__ if field in fields}
    options = Options(**run)
    check_cores(options)
    return CallOptions(options=options, **fields), own


def only_options(kwargs: Mapping[str, Any], cure: str) -> CallOptions:
    """Return options, where the keyword arguments of the user's function are given otherwise.

    Args:
        kwargs: The options.
        cure: The end of the error about any other argument.

    Raises:
        CloudException: When an option is unknown or its value is invalid.
        CloudValueError: When there is an argument that is not an option.

    >>> only_options({"x": 1}, "options begin with an underscore.")
    Traceback (most recent call last):
        ...
    cloud.CloudValueError: There is no argument 'x'; options begin with an underscore.
    """
    options, own = split_options(kwargs)
    if own:
        raise CloudValueError(f"There is no argument {next(iter(own))!r}; {cure}")
    return options


def _field(name: str) -> tuple[str, Callable[[str, Any], Any]]:
    if name in _FIELDS:
        return _FIELDS[name]
    near = nearest_name(name, _FIELDS)
    hint = f"did you mean {near}?" if near else f"there are {', '.join(_FIELDS)}."
    raise CloudValueError(
        f"There is no option {name}; {hint} "
        "(Keyword arguments that begin with an underscore are options.)"
    )


def _replace_high_cpu(fields: dict[str, Any]) -> None:
    """Replace `_high_cpu`, which scripts use that are older than core types."""
    if "high_cpu" not in fields:
        return
    high = fields.pop("high_cpu")
    warnings.warn(
        f"_high_cpu is deprecated: say _type={HIGH_CPU!r} instead.",
        DeprecationWarning,
        stacklevel=5,  # the line of the user's code that calls cloud.call
    )
    if high and fields.setdefault("core_type", HIGH_CPU) != HIGH_CPU:
        raise CloudValueError(
            f"_high_cpu means _type={HIGH_CPU!r}, but _type is {fields['core_type']!r}: "
            "leave _high_cpu out."
        )


def check_cores(options: Options) -> None:
    """Check that the core type supports the number of cores.

    Raises:
        CloudException: When it does not.
    """
    core = CORE_TYPES[options.core_type]
    if options.cores not in core.multiples:
        raise CloudValueError(
            f"A job on {core.name} may have {core.allowed} (_cores), not {options.cores}; "
            + "; ".join(
                f"{other.name}: {', '.join(map(str, other.multiples))}"
                for other in CORE_TYPES.values()
            )
            + "."
        )


_DEFAULTS: Final = CallOptions()
_FIELDS: Final[dict[str, tuple[str, Callable[[str, Any], Any]]]] = {
    "_type": ("core_type", values.core_type),
    "_cores": ("cores", values.cores),
    "_env": ("env", values.environment),
    "_vol": ("vols", values.volumes),
    "_secrets": ("secrets", values.secrets),
    "_label": ("label", values.label),
    "_priority": ("priority", values.priority),
    "_restartable": ("restartable", values.truth),
    "_depends_on": ("depends_on", values.dependencies),
    "_depends_on_errors": ("depends_on_errors", values.dependency_errors),
    "_max_runtime": ("max_runtime_s", values.max_runtime),
    "_profile": ("profile", values.truth),
    "_kill_process": ("kill_process", values.truth),
    "_os_env_vars": ("os_env_vars", values.variables),
    "_callback": ("callback", values.callbacks),
    "_callback_on_error": ("callback_on_error", values.callbacks),
    "_fast_serialization": ("fast_serialization", values.serialization),
    "_seed": ("seed", values.seed),
    "_cwd": ("cwd", values.directory),
    "_ports": ("ports", values.ports),
    "_on_done": ("on_done", values.webhook),
    "_high_cpu": ("high_cpu", values.truth),
}
"""Each option: the field that it sets, and the function that reads and checks its value."""
NAMES: Final = frozenset(_FIELDS)
