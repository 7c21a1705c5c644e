"""Arguments of published functions: checked against the parameters, and packed for a job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from picloud_model import pack
from picloud_model.errors import ArgumentRefused, TooLarge
from picloud_model.wire import Content, PackPart
from picloud_model.wire.rest import MAX_CALL_BYTES

from picloud_api.usecases.rest.plain_pickle import call_pickle

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from picloud_model.wire.rest import Parameter

_KINDS: Final[dict[str, tuple[type, str]]] = {
    "bool": (bool, "true or false"),
    "int": (int, "a whole number"),
    "float": (float, "a number"),
    "str": (str, "text"),
    "text": (str, "text or a number"),
    "list": (list, "a list"),
    "dict": (dict, "an object"),
}
"""The type of each kind of argument, and what an error calls it."""


def read_arguments(
    parameters: Sequence[Parameter], given: Mapping[str, Any], *, takes_any: bool
) -> dict[str, Any]:
    """Return the arguments of a call, converted to the types of the parameters.

    Args:
        parameters: The parameters of the function.
        given: Values of JSON by name.
        takes_any: Whether the function takes arguments of other names, too.

    Raises:
        ArgumentRefused: When one is missing, unknown or of another type; its `field` names it.

    >>> from picloud_model.wire.rest import Parameter
    >>> read_arguments([Parameter(name="x", kind="float")], {"x": 2}, takes_any=False)
    {'x': 2.0}
    """
    known = {each.name: each for each in parameters}
    for name in given:
        if name not in known and not takes_any:
            takes = f"its arguments are {', '.join(known)}" if known else "it has no arguments"
            raise ArgumentRefused(
                f"The function has no argument {name!r:.110}: {takes}.", field=name
            )
    for each in parameters:
        if each.required and each.name not in given:
            raise ArgumentRefused(f"The argument {each.name!r} is missing.", field=each.name)
    return {
        name: _converted(known[name], value) if name in known else value
        for name, value in given.items()
    }


def read_texts(parameters: Sequence[Parameter], given: Mapping[str, list[str]]) -> dict[str, Any]:
    """Return arguments that arrived as text, in an address or a form, as values of JSON.

    A text is read by the kind of its parameter; one that does not fit it stays text, which
    `read_arguments` refuses. An argument that is repeated is a list.

    >>> from picloud_model.wire.rest import Parameter
    >>> read_texts([Parameter(name="x", kind="int")], {"x": ["5"], "name": ["a", "b"]})
    {'x': 5, 'name': ['a', 'b']}
    """
    kinds = {each.name: each.kind for each in parameters}
    return {
        name: _read_text(kinds.get(name, "any"), texts[0]) if len(texts) == 1 else list(texts)
        for name, texts in given.items()
    }


def argument_part(calls: Sequence[Mapping[str, Any]]) -> PackPart:
    """Return the arguments of calls as jobs take them: a pack with a parcel for each.

    Raises:
        ArgumentRefused: When they are not plain values, or nested too deep.
        TooLarge: When they are larger than a request may have.
    """
    data = pack.write([pack.seal(call_pickle(arguments)) for arguments in calls])
    if len(data) > MAX_CALL_BYTES:
        raise TooLarge(
            f"The arguments are larger than {MAX_CALL_BYTES // 1024} KiB; store the data as an "
            "object of a bucket, and pass its key."
        )
    return PackPart(0, len(calls), Content("", len(data), data))


def _converted(parameter: Parameter, value: Any) -> Any:
    if parameter.kind == "any" or (value is None and parameter.nullable):
        return value
    if parameter.kind == "text" and type(value) in {int, float}:
        return str(value)
    kind, noun = _KINDS[parameter.kind]
    try:
        return msgspec.convert(value, kind)
    except (msgspec.ValidationError, OverflowError):
        noun += " or null" * parameter.nullable
        message = f"The argument {parameter.name!r} must be {noun}."
        raise ArgumentRefused(message, field=parameter.name) from None


def json_or_text(text: str) -> Any:
    """Return the value of a text that is JSON, else the text.

    >>> json_or_text("[1]"), json_or_text("one")
    ([1], 'one')
    """
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text


def _read_text(kind: str, text: str) -> Any:
    if kind in {"any", "str", "text"}:
        return text
    if kind == "list":
        return [text]
    if kind == "dict":
        return json_or_text(text)
    try:
        return msgspec.convert(text, _KINDS[kind][0], strict=False)
    except (msgspec.ValidationError, OverflowError):
        return text
