"""Arguments of published functions: checked against the parameters, and packed for a job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec
from picloud_model import pack
from picloud_model.errors import ArgumentRefused, TooLarge
from picloud_model.wire.rest import MAX_CALL_BYTES, MAX_UPLOAD_BYTES

from picloud_api.usecases.rest.arguments.argument_type import SCALARS, fitted, from_text, json_of
from picloud_api.usecases.rest.arguments.plain_pickle import call_pickle

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from picloud_model.wire.rest import Parameter

Texts: TypeAlias = dict[str, list[str | bytes]]
"""Arguments that arrived as text or, if bytes, as files, by name."""
_KINDS: Final[dict[str, tuple[Any, str]]] = {
    **SCALARS,
    "text": (str, "text or a number"),
    "list": (list, "a list"),
    "dict": (dict, "an object"),
    "bytes": (bytes, "a file, or bytes in base64"),
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


def read_texts(parameters: Sequence[Parameter], given: Texts) -> dict[str, Any]:
    """Return arguments that arrived as text or files, in an address or a form, as values.

    A text is read by the kind of its parameter; one that does not fit it stays text, which
    `read_arguments` refuses. An argument that is repeated is a list.

    >>> from picloud_model.wire.rest import Parameter
    >>> read_texts([Parameter(name="x", kind="int")], {"x": ["5"], "name": ["a", "b"]})
    {'x': 5, 'name': ['a', 'b']}
    """
    known = {each.name: each for each in parameters}
    return {name: _read_texts(known.get(name), texts) for name, texts in given.items()}


def packed(calls: Sequence[Mapping[str, Any]]) -> bytes:
    """Return the arguments of calls as jobs take them: a pack with a parcel for each.

    Raises:
        ArgumentRefused: When they are not plain values, or nested too deep.
        TooLarge: When they are larger than a request may have: only files may be large.
    """
    data = pack.write([pack.seal(call_pickle(arguments)) for arguments in calls])
    has_files = any(_has_file(each) for arguments in calls for each in arguments.values())
    limit = MAX_UPLOAD_BYTES if has_files else MAX_CALL_BYTES
    if len(data) > limit:
        raise too_large(limit)
    return data


def too_large(limit: int) -> TooLarge:
    """Return the error about arguments of more than `limit` bytes.

    >>> too_large(MAX_CALL_BYTES).message.partition(";")[0]
    'The arguments are larger than 192 KiB'
    """
    return TooLarge(
        f"The arguments are larger than {limit // 1024:,} KiB; store the data as an object of a "
        "bucket, and pass its key."
    )


def _has_file(value: Any) -> bool:
    return isinstance(value, bytes) or (
        isinstance(value, list) and any(isinstance(each, bytes) for each in value)
    )


def _converted(parameter: Parameter, value: Any) -> Any:
    if parameter.kind == "any" or (value is None and parameter.nullable):
        return value
    if parameter.kind == "text" and type(value) in {int, float}:
        return str(value)
    if parameter.type is not None:
        return fitted(parameter.name, parameter.type, value, nullable=parameter.nullable)
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
        return json_of(text)
    except msgspec.DecodeError:
        return text


def _read_texts(parameter: Parameter | None, texts: list[str | bytes]) -> Any:
    if parameter is not None and parameter.type is not None:
        return from_text(parameter.type, texts)
    if len(texts) > 1:
        return list(texts)
    return _read_text(parameter.kind if parameter is not None else "any", texts[0])


def _read_text(kind: str, text: str | bytes) -> Any:
    if isinstance(text, bytes) or kind in {"any", "str", "text"}:
        return text
    if kind == "bytes":
        return text.encode("utf-8", "surrogateescape")
    if kind == "list":
        return [text]
    if kind == "dict":
        return json_or_text(text)
    try:
        return msgspec.convert(text, _KINDS[kind][0], strict=False)
    except (msgspec.ValidationError, OverflowError):
        return text
