"""Arguments of calls: converted to the types of the parameters, or refused by name."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from picloud_api.usecases.rest.arguments.call_arguments import packed, read_arguments, read_texts
from picloud_model import pack
from picloud_model.errors import ArgumentRefused, TooLarge
from picloud_model.wire.rest import MAX_CALL_BYTES, MAX_UPLOAD_BYTES, Parameter

PARAMETERS = [
    Parameter(name="i", kind="int"),
    Parameter(name="f", kind="float", required=False, nullable=True),
    Parameter(name="b", kind="bool", required=False),
    Parameter(name="s", kind="str", required=False),
    Parameter(name="l", kind="list", required=False),
    Parameter(name="d", kind="dict", required=False),
    Parameter(name="t", kind="text", required=False),
    Parameter(name="any", required=False),
]


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ({"i": 1, "f": 2}, {"i": 1, "f": 2.0}),
        ({"i": 1, "f": None}, {"i": 1, "f": None}),
        ({"i": 1, "b": True, "s": "", "l": [1], "d": {"a": 1}}, None),
        ({"i": 1, "t": 2}, {"i": 1, "t": "2"}),
        ({"i": 1, "any": [{"a": None}]}, None),
    ],
)
def test_arguments_that_fit_are_converted(given: dict[str, Any], value: Any) -> None:
    """A whole number is a number; everything else stays as it is."""
    assert read_arguments(PARAMETERS, given, takes_any=False) == (value or given)


@pytest.mark.parametrize(
    ("given", "field", "reason"),
    [
        ({}, "i", "The argument 'i' is missing."),
        ({"i": "1"}, "i", "The argument 'i' must be a whole number."),
        ({"i": None}, "i", "The argument 'i' must be a whole number."),
        ({"i": 1.5}, "i", "The argument 'i' must be a whole number."),
        ({"i": 1, "f": "x"}, "f", "The argument 'f' must be a number or null."),
        ({"i": 1, "b": 1}, "b", "The argument 'b' must be true or false."),
        ({"i": 1, "s": 1}, "s", "The argument 's' must be text."),
        ({"i": 1, "l": {}}, "l", "The argument 'l' must be a list."),
        ({"i": 1, "d": []}, "d", "The argument 'd' must be an object."),
        ({"i": 1, "t": True}, "t", "The argument 't' must be text or a number."),
        ({"i": 1, "x": 1}, "x", "The function has no argument 'x': its arguments are i, f, "),
    ],
)
def test_arguments_that_do_not_fit_are_refused(
    given: dict[str, Any], field: str, reason: str
) -> None:
    """The error names the argument."""
    with pytest.raises(ArgumentRefused) as refused:
        read_arguments(PARAMETERS, given, takes_any=False)

    assert refused.value.field == field
    assert refused.value.message.startswith(reason)


def test_a_function_may_take_any_arguments() -> None:
    """Those of its parameters are checked all the same."""
    assert read_arguments(PARAMETERS, {"i": 1, "x": "y"}, takes_any=True) == {"i": 1, "x": "y"}
    with pytest.raises(ArgumentRefused, match="'i' must be"):
        read_arguments(PARAMETERS, {"i": "x"}, takes_any=True)


def test_text_is_read_by_the_type_of_its_parameter() -> None:
    """What does not fit stays text, and is refused as such."""
    texts = {
        "i": ["5"], "f": ["1e3"], "b": ["true"], "s": ["5"], "l": ["a"], "d": ['{"a": 1}'],
        "any": ["5"], "x": ["a", "b"],
    }  # fmt: skip

    assert read_texts(PARAMETERS, texts) == {
        "i": 5, "f": 1000.0, "b": True, "s": "5", "l": ["a"], "d": {"a": 1}, "any": "5",
        "x": ["a", "b"],
    }  # fmt: skip
    assert read_texts(PARAMETERS, {"i": ["x"], "d": ["{"]}) == {"i": "x", "d": "{"}


def test_a_file_is_bytes() -> None:
    """In JSON it is base64, in a form its text; what is not a file is refused where one is due."""
    data = Parameter(name="data", kind="bytes")

    assert read_arguments([data], {"data": "aGk="}, takes_any=False) == {"data": b"hi"}
    assert read_arguments([data], {"data": b"\xff"}, takes_any=False) == {"data": b"\xff"}
    assert read_texts([data], {"data": ["h\xe9"]}) == {"data": "h\xe9".encode()}
    assert read_texts([data], {"data": [b"\xff"]}) == {"data": b"\xff"}
    with pytest.raises(ArgumentRefused, match="'data' must be a file, or bytes in base64"):
        read_arguments([data], {"data": 5}, takes_any=False)
    with pytest.raises(ArgumentRefused, match="'i' must be a whole number"):
        read_arguments(PARAMETERS, {"i": b"5"}, takes_any=False)


def test_each_call_is_a_parcel() -> None:
    """A pack holds those of a request, up to a size, which is larger for files."""
    parcels = pack.Pack(packed([{"x": 1}, {"x": 2}]))

    assert [pickle.loads(pack.unseal(parcels[at])) for at in range(2)] == [
        ((), {"x": 1}),
        ((), {"x": 2}),
    ]
    with pytest.raises(TooLarge, match="larger than 192 KiB"):
        packed([{"x": "a" * MAX_CALL_BYTES}])
    assert len(packed([{"x": [b"a" * MAX_CALL_BYTES]}])) > MAX_CALL_BYTES
    with pytest.raises(TooLarge, match="larger than 16,384 KiB"):
        packed([{"x": b"a" * MAX_UPLOAD_BYTES}])
