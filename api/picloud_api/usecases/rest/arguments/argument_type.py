"""Values of arguments that have a type: checked piece by piece, and named when they do not fit."""

from __future__ import annotations

from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import msgspec
from picloud_model.errors import ArgumentRefused, RequestRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from picloud_model.wire.argument_type import ArgumentType
    from picloud_model.wire.rest import Parameter

SCALARS: Final[dict[str, tuple[Any, str]]] = {
    "null": (None, "null"),
    "bool": (bool, "true or false"),
    "int": (int, "a whole number"),
    "float": (float, "a number"),
    "str": (str, "text"),
    "bytes": (bytes, "bytes in base64"),
    "date": (date, "a date as '2026-11-30'"),
    "datetime": (datetime, "a date and a time as '2026-11-30T12:00:00Z'"),
    "time": (time, "a time as '12:30:00'"),
    "duration": (timedelta, "a duration as 'PT90S', or a number of seconds"),
    "decimal": (Decimal, "a number, or text that is one"),
    "uuid": (UUID, "a UUID"),
}
"""The type of each kind of argument that has no parts, and what an error calls it."""
_NOUNS: Final = {"any": "a value", "list": "a list", "dict": "an object", "object": "an object"}
_NUMBERS: Final = ("bool", "int", "float")
_MOST_STEPS: Final = 100_000
"""How many pieces of a call are compared with types one by one; so many take a tenth of a second.
"""
_MOST_TYPES: Final = 1000
_MAX_DEPTH: Final = 20
_SHOWN: Final = 10


class _Misfit(Exception):
    """A value does not fit: where in the argument, and what it must be."""

    def __init__(self, place: str, noun: str) -> None:
        super().__init__(place, noun)
        self.place = place
        self.noun = noun


def check_types(parameters: Sequence[Parameter]) -> None:
    """Check that the types of parameters are few, and not nested too deep.

    Raises:
        RequestRefused: When they are not.
    """
    pending = [(each.type, 1) for each in parameters if each.type is not None]
    for seen, (kind, depth) in enumerate(pending):
        if seen == _MOST_TYPES or depth > _MAX_DEPTH:
            raise RequestRefused(
                f"The parameters of a published function have at most {_MOST_TYPES} types, nested "
                f"at most {_MAX_DEPTH} deep.",
                field="parameters",
            )
        parts = [*kind.items, *(each.type for each in kind.fields)]
        pending += [(each, depth + 1) for each in parts]


def fitted(name: str, kind: ArgumentType, value: Any, *, nullable: bool = False) -> Any:
    """Return the value of an argument, in which whole numbers are numbers where these are needed.

    Args:
        name: The name of the argument.
        kind: Its type.
        value: A value of JSON.
        nullable: What the error says of null.

    Raises:
        ArgumentRefused: When the value is not of the type. The message names the piece.

    >>> from picloud_model.wire.argument_type import ArgumentType
    >>> numbers = ArgumentType(kind="list", items=[ArgumentType(kind="float")])
    >>> fitted("x", numbers, [1, 2.5])
    [1.0, 2.5]
    >>> fitted("x", numbers, [1, "a"])
    Traceback (most recent call last):
        ...
    picloud_model.errors.ArgumentRefused: The argument 'x[1]' must be a number.
    """
    try:
        return _Check().value(kind, value, "")
    except _Misfit as misfit:
        noun = misfit.noun + " or null" * (nullable and not misfit.place)
        shown = f"{name!r:.110}" if not misfit.place else repr(f"{name}{misfit.place}"[:200])
        raise ArgumentRefused(f"The argument {shown} must be {noun}.", field=name) from None


def from_text(kind: ArgumentType, texts: list[str | bytes]) -> Any:
    """Return the value of an argument that arrived as text or files, in an address or a form.

    What cannot be read by the type stays text, which `fitted` then refuses.

    >>> from picloud_model.wire.argument_type import ArgumentType
    >>> from_text(ArgumentType(kind="list", items=[ArgumentType(kind="int")]), ["1", "2"])
    [1, 2]
    """
    if kind.kind in {"list", "tuple"}:
        first = texts[0]
        if len(texts) == 1 and isinstance(first, str) and first.lstrip().startswith("["):
            with suppress(msgspec.DecodeError):
                return json_of(first)
        items = kind.items if kind.kind == "tuple" else kind.items * len(texts)
        if len(items) != len(texts):
            return texts
        return [from_text(each, [text]) for each, text in zip(items, texts, strict=True)]
    if len(texts) > 1:
        return texts
    return _read(kind, texts[0])


def _read(kind: ArgumentType, text: str | bytes) -> Any:
    if isinstance(text, bytes):
        return text
    if kind.kind == "bytes":
        return text.encode("utf-8", "surrogateescape")
    if kind.kind == "literal":
        return next((each for each in kind.values if as_text(each) == text), text)
    with suppress(_Misfit, msgspec.DecodeError, msgspec.ValidationError, OverflowError):
        return _converted(kind, text)
    return text


def _converted(kind: ArgumentType, text: str) -> Any:
    if kind.kind in {"dict", "object"}:
        return json_of(text)
    if kind.kind in _NUMBERS:
        return msgspec.convert(text, SCALARS[kind.kind][0], strict=False)
    if kind.kind != "union":
        return text
    for each in kind.items:
        value = from_text(each, [text])
        with suppress(_Misfit):
            return _Check().value(each, value, "")
    return text


def json_of(text: str) -> Any:
    """Return the value of a text of JSON.

    Raises:
        msgspec.DecodeError: When it is not JSON, or nested too deep.
    """
    try:
        return msgspec.json.decode(text)
    except RecursionError as error:
        raise msgspec.DecodeError("nested too deep") from error


def as_text(value: Any) -> str:
    """Return the text that a value of a literal is in a form."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


class _Check:
    """Compares the pieces of one argument with their types."""

    def __init__(self) -> None:
        self._steps = 0
        self._with_parts: dict[str, Callable[[ArgumentType, Any, str], Any]] = {
            "any": lambda _kind, value, _place: value,
            "list": self._list,
            "tuple": self._tuple,
            "dict": self._dict,
            "object": self._object,
            "literal": _literal,
            "union": self._union,
        }

    def value(self, kind: ArgumentType, value: Any, place: str) -> Any:
        """Return a value that fits.

        Raises:
            ArgumentRefused: When it has too many pieces to compare all of them.
        """
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise ArgumentRefused("The arguments have too many pieces to be checked.")
        read = self._with_parts.get(kind.kind)
        return _scalar(kind, value, place) if read is None else read(kind, value, place)

    def _list(self, kind: ArgumentType, value: Any, place: str) -> Any:
        if type(value) is not list:
            raise _Misfit(place, noun_of(kind))
        found = _scalars(kind.items[0], value)
        return found or self._items(kind.items * len(value), value, place)

    def _tuple(self, kind: ArgumentType, value: Any, place: str) -> Any:
        if type(value) is not list or len(value) != len(kind.items):
            raise _Misfit(place, noun_of(kind))
        return self._items(kind.items, value, place)

    def _dict(self, kind: ArgumentType, value: Any, place: str) -> Any:
        if type(value) is not dict:
            raise _Misfit(place, noun_of(kind))
        item = kind.items[0]
        return {name: self.value(item, each, f"{place}.{name:.80}") for name, each in value.items()}

    def _items(self, kinds: list[ArgumentType], values: list[Any], place: str) -> list[Any]:
        pairs = enumerate(zip(kinds, values, strict=True))
        return [self.value(kind, each, f"{place}[{at}]") for at, (kind, each) in pairs]

    def _object(self, kind: ArgumentType, value: Any, place: str) -> Any:
        if type(value) is not dict:
            raise _Misfit(place, noun_of(kind))
        fields = {each.name: each.type for each in kind.fields}
        for name in value:
            if name not in fields:
                raise _Misfit(place, f"an object without {name!r:.80}: it has {_listed(fields)}")
        for each in kind.fields:
            if each.required and each.name not in value:
                raise _Misfit(place, f"an object with {each.name!r}")
        return {
            name: self.value(fields[name], each, f"{place}.{name}") for name, each in value.items()
        }

    def _union(self, kind: ArgumentType, value: Any, place: str) -> Any:
        misfits = []
        for each in kind.items:
            try:
                return self.value(each, value, place)
            except _Misfit as misfit:
                misfits.append(misfit)
        within = [each for each in misfits if each.place != place]
        if len(within) == 1:  # one member fits on the outside
            raise within[0]
        raise _Misfit(place, " or ".join(noun_of(each) for each in kind.items))


def _literal(kind: ArgumentType, value: Any, place: str) -> Any:
    # True is not 1.
    if any(type(value) is type(each) and value == each for each in kind.values):
        return value
    raise _Misfit(place, noun_of(kind))


def _scalars(kind: ArgumentType, values: list[Any]) -> list[Any] | None:
    """Return a list all of whose items fit, at once; None if one does not, or they have parts."""
    if kind.kind in SCALARS:
        with suppress(msgspec.ValidationError, OverflowError):
            item = SCALARS[kind.kind][0]
            found: list[Any] = msgspec.convert(values, list[item])  # type: ignore[valid-type]
            return found if kind.kind == "float" else values
    return None


def _scalar(kind: ArgumentType, value: Any, place: str) -> Any:
    try:
        found = msgspec.convert(value, SCALARS[kind.kind][0])
    except (msgspec.ValidationError, OverflowError):
        raise _Misfit(place, noun_of(kind)) from None
    # The job makes dates and the like itself: of what JSON has for them.
    return found if kind.kind == "float" else value


def noun_of(kind: ArgumentType) -> str:
    """Return what an error calls the values of a type."""
    if kind.kind == "tuple":
        return f"a list of {len(kind.items)}"
    if kind.kind == "literal":
        return f"one of {_listed([as_text(each) for each in kind.values])}"
    if kind.kind == "union":
        return " or ".join(map(noun_of, kind.items))
    return _NOUNS.get(kind.kind) or SCALARS[kind.kind][1]


def _listed(names: Any) -> str:
    shown = [f"{each!r:.80}" for each in names]
    return ", ".join(shown[:_SHOWN]) + ", ..." * (len(shown) > _SHOWN) if shown else "no fields"
