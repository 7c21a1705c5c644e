"""Argument types: what a value of JSON must be to be an argument of a published function."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

MAX_ITEMS: Final = 100
"""Maximum number of fields, members or values of one type."""

TypeKind = Literal[
    "any",
    "bool",
    "int",
    "float",
    "str",
    "bytes",
    "date",
    "datetime",
    "time",
    "duration",
    "decimal",
    "uuid",
    "null",
    "list",
    "tuple",
    "dict",
    "object",
    "literal",
    "union",
]
"""What a value is; "bytes" are base64, and dates, times and numbers of any precision are text."""


class ArgumentType(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """The type of an argument.

    `items` are the type of the items of a list, of each item of a tuple, of the values of a dict,
    or the members of a union. `fields` are those of an object, and `values` those of a literal.
    """

    kind: TypeKind = "any"
    items: Annotated[list[ArgumentType], Meta(max_length=MAX_ITEMS)] = []
    fields: Annotated[list[TypeField], Meta(max_length=MAX_ITEMS)] = []
    values: Annotated[list[int | str | bool | None], Meta(max_length=MAX_ITEMS)] = []

    def __post_init__(self) -> None:
        """Check that a list or a dict has one type of items."""
        if self.kind in {"list", "dict"} and len(self.items) != 1:
            raise ValueError("A list or a dict must have one type of items.")


class TypeField(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """A field of an object."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    type: ArgumentType
    required: bool = True
