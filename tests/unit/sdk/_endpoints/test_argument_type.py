"""Annotations: the types that the server checks, and the objects that a function gets."""

from __future__ import annotations

import datetime as dt
import enum
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, NamedTuple, Optional, TypedDict

import msgspec
import pytest
from cloud._endpoints.argument_type import Conversions, read_type, type_name
from cloud._endpoints.parameters import read_signature
from cloud.errors import CloudTypeError


class Color(enum.Enum):
    """An enum, given by its values."""

    RED = "r"
    BLUE = "b"


@dataclass
class Point:
    """A dataclass that holds others of its own."""

    x: int
    y: float = 0.0
    colors: list[Color] = field(default_factory=list)
    nearest: Point | None = None


class Circle(msgspec.Struct, tag="circle"):
    """A struct with a tag."""

    radius: float


class Square(msgspec.Struct, tag="square", rename="camel"):
    """A struct whose field has another name in JSON."""

    side_length: float


class Named(TypedDict, total=False):
    """A dict of named values."""

    name: str


class Pair(NamedTuple):
    """A named tuple, for which JSON has no form of its own."""

    a: int
    b: int


@pytest.mark.parametrize(
    ("annotation", "name", "converts"),
    [
        (list[int], "list[int]", False),
        (Sequence[str], "list[str]", False),
        (set[int], "list[int]", True),
        (tuple[int, str], "tuple[int, str]", True),
        (tuple[int, ...], "list[int]", True),
        (dict[str, float], "dict[str, float]", False),
        (Optional[int], "int | None", False),  # noqa: UP045 - old scripts write it
        (Literal[1, "a"], "1 | 'a'", False),
        (Color, "'r' | 'b'", True),
        (dt.date, "date", True),
        (dt.datetime | None, "datetime | None", True),
        (dt.time, "time", True),
        (dt.timedelta, "duration", True),
        (Decimal, "decimal", True),
        (uuid.UUID, "uuid", True),
        (Named, "{name: str}", True),
        (Circle, "{type: 'circle', radius: float}", True),
        (Square, "{type: 'square', sideLength: float}", True),
        (
            list[Point],
            "list[{x: int, y: float, colors: list['r' | 'b'], nearest: any | None}]",
            True,
        ),
    ],
)
def test_annotations_have_a_type(annotation: Any, name: str, converts: bool) -> None:
    """A class within itself takes every value there: its objects end somewhere."""
    read = read_type(annotation)

    assert (type_name(read.type), read.converts) == (name, converts)


@pytest.mark.parametrize(
    "annotation",
    [complex, list[complex], Pair, dict[int, str], Point | Named, "unknown", 5, object],
)
def test_what_cannot_be_made_of_json_takes_every_value(annotation: Any) -> None:
    """As without an annotation, and the function gets the value as it is."""
    read = read_type(annotation)

    assert (read.type.kind, read.converts) == ("any", False)


def test_an_annotation_nested_very_deep_takes_every_value() -> None:
    """The server refuses types that are nested deeper than arguments usefully are."""
    deep: Any = int
    for _ in range(30):
        deep = list[deep]

    assert read_type(deep).type.kind == "any"


def shown(point: Point, shape: Circle | Square, day: dt.date | None, tags: set[str]) -> Any:
    """Return the arguments."""
    return point, shape, day, tags


def test_a_function_gets_objects() -> None:
    """They are made in its job, of what JSON holds; None stays None."""
    read = read_signature(shown)
    call = Conversions(shown, read.conversions)

    assert [each.kind for each in read.parameters] == ["typed"] * 4
    assert call(
        point={"x": 1, "colors": ["b"], "nearest": {"x": 2}},
        shape={"type": "square", "sideLength": 2},
        day=None,
        tags=["a", "a"],
    ) == (Point(1, 0.0, [Color.BLUE], Point(2)), Square(2.0), None, {"a"})


def test_a_value_that_only_the_class_refuses_is_named() -> None:
    """As one within a class of itself."""
    call = Conversions(lambda point: point, {"point": Point})

    with pytest.raises(CloudTypeError, match="The argument 'point' does not fit its annotation"):
        call(point={"x": 1, "nearest": {"x": "1"}})
