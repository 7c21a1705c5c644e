"""Parameters of a function that is published: their names and types, as the server checks them."""

from __future__ import annotations

import collections.abc
import types
from inspect import Parameter as Declared
from inspect import signature
from typing import TYPE_CHECKING, Any, Final, Union, get_args, get_origin, get_type_hints

import msgspec
from picloud_model.wire.rest import MAX_PARAMETERS, Parameter

from cloud.errors import CloudTypeError, CloudValueError

if TYPE_CHECKING:
    from collections.abc import Callable

    from picloud_model.wire.rest import ParameterKind

_KINDS: Final[dict[Any, ParameterKind]] = {
    bool: "bool",
    int: "int",
    float: "float",
    str: "str",
    list: "list",
    collections.abc.Sequence: "list",
    dict: "dict",
    collections.abc.Mapping: "dict",
}


class Signature(msgspec.Struct, frozen=True):
    """The parameters of a function, and whether it takes arguments of other names, too."""

    parameters: list[Parameter]
    takes_any: bool = False


def read_signature(func: Callable[..., Any]) -> Signature:
    """Return the parameters of a function.

    An annotation that JSON has no type for allows every value.

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
    for each in declared:
        if each.kind is Declared.VAR_KEYWORD:
            takes_any = True
        elif each.kind is Declared.POSITIONAL_ONLY and each.default is Declared.empty:
            raise CloudValueError(
                f"The parameter {each.name!r} cannot be given by name, as calls over HTTP do; "
                "publish a function whose parameters have names."
            )
        elif each.kind in {Declared.POSITIONAL_OR_KEYWORD, Declared.KEYWORD_ONLY}:
            required = each.default is Declared.empty
            kind, nullable = _kind(types_of.get(each.name, Any))
            nullable = nullable or each.default is None
            parameters.append(
                Parameter(name=each.name, kind=kind, required=required, nullable=nullable)
            )
    if len(parameters) > MAX_PARAMETERS:
        raise CloudValueError(f"A published function has at most {MAX_PARAMETERS} parameters.")
    return Signature(parameters, takes_any)


def _annotations(func: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(func)
    except Exception:  # noqa: BLE001 - annotations may be any expression: they are hints only
        return {}


def _kind(annotation: Any) -> tuple[ParameterKind, bool]:
    """Return the kind of an annotation, and whether it allows None."""
    if get_origin(annotation) in {Union, types.UnionType}:
        members = [each for each in get_args(annotation) if each is not types.NoneType]
        kind = _kind(members[0])[0] if len(members) == 1 else "any"
        return kind, len(members) < len(get_args(annotation))
    return _KINDS.get(get_origin(annotation) or annotation, "any"), False
