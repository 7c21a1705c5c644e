"""Values of arguments with a type: what fits, and the piece that does not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from picloud_api.usecases.rest.arguments.argument_type import check_types, fitted, from_text
from picloud_model.errors import ArgumentRefused, RequestRefused
from picloud_model.wire.argument_type import ArgumentType, TypeField
from picloud_model.wire.rest import Parameter

INT, FLOAT, TEXT = (ArgumentType(kind=each) for each in ("int", "float", "str"))


def of(kind: str, *items: ArgumentType, values: Any = ()) -> ArgumentType:
    """Return a type with parts."""
    fields = {"kind": kind, "items": [*items], "values": [*values]}
    return msgspec.convert(fields, ArgumentType, from_attributes=True)


POINT = ArgumentType(
    kind="object",
    fields=[TypeField(name="x", type=FLOAT), TypeField(name="tag", type=TEXT, required=False)],
)
TYPES = {
    "list": of("list", INT),
    "pair": of("tuple", INT, TEXT),
    "dict": of("dict", of("list", FLOAT)),
    "point": POINT,
    "points": of("list", POINT),
    "choice": of("literal", values=["a", 1, True]),
    "union": of("union", INT, of("list", INT)),
    "day": ArgumentType(kind="date"),
    "moment": ArgumentType(kind="datetime"),
    "data": of("list", ArgumentType(kind="bytes")),
    "any": of("list", ArgumentType()),
}


@pytest.mark.parametrize(
    ("name", "value", "fitting"),
    [
        ("list", [1, 2], None),
        ("pair", [1, "a"], None),
        ("dict", {"a": [1]}, {"a": [1.0]}),
        ("points", [{"x": 1}, {"x": 2.5, "tag": ""}], [{"x": 1.0}, {"x": 2.5, "tag": ""}]),
        ("choice", True, None),
        ("choice", 1, None),
        ("union", 5, None),
        ("union", [5], None),
        ("day", "2026-11-30", None),
        ("moment", "2026-11-30T01:02:03+01:00", None),
        ("data", ["aGk=", b"\xff"], None),
        ("any", [{"a": [None]}], None),
    ],
)
def test_values_that_fit_stay_as_they_are(name: str, value: Any, fitting: Any) -> None:
    """Only whole numbers become numbers; the job makes objects of the others."""
    assert fitted(name, TYPES[name], value) == (value if fitting is None else fitting)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("list", 5, "'list' must be a list."),
        ("list", [1, "2"], "'list[1]' must be a whole number."),
        ("pair", [1], "'pair' must be a list of 2."),
        ("dict", {"a b": [None]}, "'dict.a b[0]' must be a number."),
        ("point", {"tag": "a"}, "'point' must be an object with 'x'."),
        ("point", {"x": 1, "y": 2}, "'point' must be an object without 'y': it has 'x', 'tag'."),
        ("points", [{"x": 1}, {"x": None}], "'points[1].x' must be a number."),
        ("choice", 2, "'choice' must be one of 'a', '1', 'true'."),
        ("choice", 1.0, "'choice' must be one of"),
        ("union", "a", "'union' must be a whole number or a list."),
        ("union", [1, "a"], "'union[1]' must be a whole number."),
        ("day", "30.11.2026", "'day' must be a date as '2026-11-30'."),
        ("data", ["!"], "'data[0]' must be bytes in base64."),
    ],
)
def test_the_piece_that_does_not_fit_is_named(name: str, value: Any, reason: str) -> None:
    """The field of the error is the argument."""
    with pytest.raises(ArgumentRefused) as refused:
        fitted(name, TYPES[name], value)

    assert refused.value.field == name
    assert refused.value.message.startswith(f"The argument {reason}")


def test_null_is_named_where_it_is_possible() -> None:
    """Not within the argument."""
    with pytest.raises(ArgumentRefused, match=r"must be a list or null\."):
        fitted("x", TYPES["list"], 5, nullable=True)
    with pytest.raises(ArgumentRefused, match=r"must be a whole number\."):
        fitted("x", TYPES["list"], ["a"], nullable=True)


@pytest.mark.parametrize(
    ("name", "texts", "value"),
    [
        ("list", ["1", "2"], [1, 2]),
        ("list", ["1"], [1]),
        ("list", ["[1, 2]"], [1, 2]),
        ("list", ["[1, 2"], ["[1, 2"]),
        ("pair", ["1", "2"], [1, "2"]),
        ("pair", ["1"], ["1"]),
        ("point", ['{"x": 1}'], {"x": 1}),
        ("point", ["{"], "{"),
        ("choice", ["1"], 1),
        ("choice", ["true"], True),
        ("choice", ["c"], "c"),
        ("union", ["5"], 5),
        ("day", ["2026-11-30"], "2026-11-30"),
        ("data", [b"\xff", "a"], [b"\xff", b"a"]),
    ],
)
def test_text_is_read_by_the_type(name: str, texts: list[str | bytes], value: Any) -> None:
    """What does not fit stays text; files stay bytes."""
    assert from_text(TYPES[name], texts) == value


def test_types_are_few_and_not_deep() -> None:
    """Others are refused before they are stored, whatever sent them."""
    deep, wide = INT, of("tuple", *[of("tuple", *[INT] * 100)] * 20)
    for _ in range(30):
        deep = of("list", deep)

    for kind in (deep, wide):
        with pytest.raises(RequestRefused, match="at most 1000 types, nested at most 20 deep"):
            check_types([Parameter(name="x", kind="typed", type=kind)])
    check_types([Parameter(name="x", kind="typed", type=each) for each in TYPES.values()])


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "list"},
        {"kind": "dict", "items": [{"kind": "int"}, {"kind": "int"}]},
    ],
)
def test_a_type_that_is_incomplete_is_not_read(wrong: dict[str, Any]) -> None:
    """Nor is a parameter with a type of which its kind knows nothing."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, ArgumentType)
    for parameter in ({"kind": "typed"}, {"kind": "int", "type": {"kind": "int"}}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert({"name": "x", **parameter}, Parameter)


def test_a_value_of_very_many_pieces_is_refused() -> None:
    """Comparing them would keep the server from other requests."""
    misleading = of("union", *[of("tuple", of("list", of("union", INT)), TEXT)] * 10)

    with pytest.raises(ArgumentRefused, match="too many pieces"):
        fitted("x", misleading, [[1] * 10_000, 1])
    assert fitted("x", of("list", FLOAT), [1] * 200_000)[-1] == 1.0
