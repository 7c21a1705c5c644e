"""Annotations of published functions: what values of JSON fit, and the objects made of them."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec
from picloud_model.wire.argument_type import MAX_ITEMS, ArgumentType, TypeField

from cloud.errors import CloudTypeError

if TYPE_CHECKING:
    from picloud_model.wire.argument_type import TypeKind
    from picloud_model.wire.rest import Parameter

_ANY: Final = ArgumentType()
_SCALARS: Final[dict[str, TypeKind]] = {
    "AnyType": "any",
    "NoneType": "null",
    "BoolType": "bool",
    "IntType": "int",
    "FloatType": "float",
    "StrType": "str",
    "BytesType": "bytes",
    "DateType": "date",
    "DateTimeType": "datetime",
    "TimeType": "time",
    "TimeDeltaType": "duration",
    "DecimalType": "decimal",
    "UUIDType": "uuid",
}
"""The kinds of types without parts, by the names that msgspec gives these."""
_PLAIN: Final = frozenset({
    "AnyType", "NoneType", "BoolType", "IntType", "FloatType", "StrType", "ListType", "DictType",
    "LiteralType", "UnionType",
})  # fmt: skip
"""Types whose values are values of JSON."""
_LISTS: Final = ("ListType", "VarTupleType", "SetType", "FrozenSetType", "CollectionType")
_OBJECTS: Final = ("StructType", "DataclassType", "TypedDictType")
_MOST_TYPES: Final = 500
_MAX_DEPTH: Final = 15
"""Larger annotations, and deeper ones, are not checked by the server."""


class Conversions(msgspec.Struct, frozen=True):
    """Calls a function with arguments that are converted from values of JSON.

    >>> from datetime import date
    >>> Conversions(lambda day: day.year, {"day": date})(day="2020-02-29")
    2020
    """

    func: Any
    annotations: dict[str, Any]

    def __call__(self, **arguments: Any) -> Any:
        """Convert the arguments, and call the function."""
        for name, annotation in self.annotations.items():
            if arguments.get(name) is not None:
                try:
                    arguments[name] = msgspec.convert(arguments[name], annotation)
                except msgspec.ValidationError as error:
                    message = f"The argument {name!r} does not fit its annotation."
                    raise CloudTypeError(message) from error
        return self.func(**arguments)


class ReadType(msgspec.Struct, frozen=True):
    """The type of an annotation, and whether its values are made from values of JSON."""

    type: ArgumentType
    converts: bool = False


def read_type(annotation: Any) -> ReadType:
    """Return the type of an annotation; one that cannot be checked takes every value.

    >>> from typing import Literal
    >>> read_type(list[int]).type.items[0].kind, read_type(Literal["a", "b"]).type.values
    ('int', ['a', 'b'])
    >>> read_type(complex).type.kind
    'any'
    """
    # The first use of this module takes a while.
    from msgspec import inspect  # noqa: PLC0415

    try:
        reader = _Reader()
        read = reader.read(inspect.type_info(annotation))
    # Annotations may be any object, and the code of their classes runs.
    except Exception:  # noqa: BLE001
        return ReadType(_ANY)
    return ReadType(read, reader.converts)


class _NotDescribedError(Exception):
    """An annotation has a part that values of JSON are not made into."""


class _Reader:
    """Reads what msgspec knows of one annotation."""

    def __init__(self) -> None:
        self.converts = False
        self._within: list[type] = []
        self._count = 0
        self._depth = 0

    def read(self, found: Any) -> ArgumentType:
        """Return the type of what msgspec found."""
        self._depth += 1
        read = self._read(found)
        self._depth -= 1
        return read

    def _read(self, found: Any) -> ArgumentType:
        name = type(found).__name__
        self._count += 1
        if self._count > _MOST_TYPES or self._depth > _MAX_DEPTH:
            raise _NotDescribedError
        self.converts = self.converts or name not in _PLAIN
        kind = _SCALARS.get(name)
        return ArgumentType(kind=kind) if kind else self._with_parts(name, found)

    def _with_parts(self, name: str, found: Any) -> ArgumentType:
        if name in _LISTS:
            return ArgumentType(kind="list", items=[self.read(found.item_type)])
        if name in _OBJECTS:
            return self._object(found)
        kind, items, values = cast("TypeKind", name.removesuffix("Type").lower()), [], []
        match name:
            case "UnionType":
                items = _few(map(self.read, found.types))
            case "TupleType":
                items = _few(map(self.read, found.item_types))
            case "DictType" if type(found.key_type).__name__ in {"StrType", "AnyType"}:
                items = [self.read(found.value_type)]
            case "LiteralType":
                values = _few(found.values)
            case "EnumType" if issubclass(found.cls, Enum):
                kind, values = "literal", _few(each.value for each in found.cls)
            case _:
                raise _NotDescribedError
        return ArgumentType(kind=kind, items=items, values=values)

    def _object(self, found: Any) -> ArgumentType:
        if found.cls in self._within:  # a tree of them is as deep as its values
            return _ANY
        if getattr(found, "array_like", False):
            raise _NotDescribedError
        self._within.append(found.cls)
        fields = [
            TypeField(name=each.encode_name, type=self.read(each.type), required=each.required)
            for each in found.fields
        ]
        if (tag := getattr(found, "tag", None)) is not None:
            literal = ArgumentType(kind="literal", values=[tag])
            fields.insert(0, TypeField(name=found.tag_field, type=literal))
        self._within.pop()
        return ArgumentType(kind="object", fields=_few(fields))


def _few(items: Any) -> list[Any]:
    found = list(items)
    if len(found) > MAX_ITEMS:
        raise _NotDescribedError
    return found


def type_of(parameter: Parameter) -> str:
    """Return the type of a parameter as an annotation would name it."""
    return parameter.kind if parameter.type is None else type_name(parameter.type)


def type_name(found: ArgumentType) -> str:
    """Return a type as an annotation would name it.

    >>> type_name(read_type(dict[str, list[int | None]]).type)
    'dict[str, list[int | None]]'
    """
    names = list(map(type_name, found.items))
    match found.kind:
        case "null":
            return "None"
        case "union":
            return " | ".join(names)
        case "dict":
            return f"dict[str, {names[0]}]"
        case "literal":
            return " | ".join(map(repr, found.values))
        case "object":
            fields = ", ".join(f"{each.name}: {type_name(each.type)}" for each in found.fields)
            return f"{{{fields}}}"
    return f"{found.kind}[{', '.join(names)}]" if names else found.kind
