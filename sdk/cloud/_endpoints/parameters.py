"""Parameters of a function that is published: their names and types, as the server checks them."""

from __future__ import annotations

from inspect import Parameter as Declared
from inspect import signature
from typing import TYPE_CHECKING, Any, Final, cast, get_type_hints

import msgspec
from msgspec.structs import replace
from picloud_model.wire.rest import MAX_PARAMETERS, Parameter

from cloud._endpoints.argument_type import read_type
from cloud.errors import CloudTypeError, CloudValueError

if TYPE_CHECKING:
    from collections.abc import Callable

    from picloud_model.wire.rest import ParameterKind

_SIMPLE: Final = ("any", "bool", "int", "float", "str", "bytes")


class Signature(msgspec.Struct, frozen=True):
    """The parameters of a function, and whether it takes arguments of other names, too.

    `conversions` are the annotations of those whose arguments are made from values of JSON.
    """

    parameters: list[Parameter]
    takes_any: bool = False
    conversions: dict[str, Any] = {}


def read_signature(func: Callable[..., Any]) -> Signature:
    """Return the parameters of a function.

    An annotation that no value of JSON can be converted to allows every value.

    Raises:
        CloudTypeError: When it is not a function.
        CloudException: When its parameters are not known, or cannot be given by name.

    >>> def area(width: float, height: float | None = None): ...
    >>> read = read_signature(area).parameters
    >>> [(each.name, each.kind, each.required, each.nullable) for each in read]
    [('width', 'float', True, False), ('height', 'float', False, True)]
    """
    if not callable(func):
        raise CloudTypeError(f"The first argument must be a function, not {func!r:.80}.")
    try:
        declared = signature(func).parameters.values()
    except (TypeError, ValueError):
        raise CloudValueError(
            f"The parameters of {func!r:.80} are not known; publish a function that calls it."
        ) from None
    types_of = _annotations(func)
    parameters, takes_any = list[Parameter](), False
    conversions: dict[str, Any] = {}
    for each in declared:
        if each.kind is Declared.VAR_KEYWORD:
            takes_any = True
        elif each.kind is Declared.POSITIONAL_ONLY and each.default is Declared.empty:
            raise CloudValueError(
                f"The parameter {each.name!r} cannot be given by name, as calls over HTTP do; "
                "publish a function whose parameters have names."
            )
        elif each.kind in {Declared.POSITIONAL_OR_KEYWORD, Declared.KEYWORD_ONLY}:
            annotation = types_of.get(each.name, Any)
            parameter, converts = _parameter(each, annotation)
            parameters.append(parameter)
            if converts:
                conversions[each.name] = annotation
    if len(parameters) > MAX_PARAMETERS:
        raise CloudValueError(f"A published function has at most {MAX_PARAMETERS} parameters.")
    return Signature(parameters, takes_any, conversions)


def _annotations(func: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(func)
    except Exception:  # noqa: BLE001 - annotations may be any expression: they are hints only
        return {}


def _parameter(declared: Declared, annotation: Any) -> tuple[Parameter, bool]:
    """Return a parameter, and whether its arguments are made from values of JSON."""
    read = read_type(annotation)
    found, nullable, typed = read.type, declared.default is None, None
    members = [each for each in found.items if each.kind != "null"]
    if found.kind == "union" and len(members) < len(found.items):
        nullable = True
        found = members[0] if len(members) == 1 else replace(found, items=members)
    is_bare = found.kind in {"list", "dict"} and found.items[0].kind == "any" and not read.converts
    kind: ParameterKind = "typed"
    if found.kind in _SIMPLE or is_bare:
        kind = cast("ParameterKind", found.kind)
    else:
        typed = found
    parameter = Parameter(
        name=declared.name,
        kind=kind,
        required=declared.default is Declared.empty,
        nullable=nullable,
        type=typed,
    )
    return parameter, read.converts and kind != "bytes"
