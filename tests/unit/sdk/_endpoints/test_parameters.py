"""Parameters of published functions, read from signatures and annotations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Optional

import pytest
from cloud._endpoints.parameters import read_signature
from cloud.errors import CloudException, CloudTypeError


def typed(  # noqa: PLR0917 - one of each type
    b: bool,
    i: int,
    f: float,
    s: str,
    items: list[int],
    d: dict[str, Any],
    n: int | None,
    *,
    any_: object,
) -> None:
    """Take one of each."""


def test_annotations_say_what_a_parameter_takes() -> None:
    """What JSON has no type for takes every value."""
    read = read_signature(typed)
    parameters = read.parameters

    kinds = ["bool", "int", "float", "str", "typed", "dict", "int", "any"]
    assert [each.kind for each in parameters] == kinds
    assert [each.name for each in parameters if each.nullable] == ["n"]
    assert all(each.required for each in parameters)
    assert not read.takes_any


@pytest.mark.parametrize(
    ("annotation", "kind", "nullable"),
    [
        (Sequence, "list", False),
        (list[Any], "list", False),
        (Mapping[str, int], "typed", False),
        (bytes | None, "bytes", True),
        (Optional[str], "str", True),  # noqa: UP045 - old scripts write it
        (int | str, "typed", False),
        (int | str | None, "typed", True),
        (complex | None, "any", False),
        ("unknown", "any", False),
    ],
)
def test_annotations_are_read_in_every_form(annotation: Any, kind: str, nullable: bool) -> None:
    """One that is not known takes every value."""

    def function(x: Any) -> None:
        """Take one argument."""

    function.__annotations__["x"] = annotation

    (parameter,) = read_signature(function).parameters

    assert (parameter.kind, parameter.nullable) == (kind, nullable)


def test_a_default_makes_a_parameter_optional() -> None:
    """With the default None it takes null, too; keywords of any name are possible."""
    read = read_signature(lambda x=1, y=None, **z: None)

    assert [(each.name, each.required, each.nullable) for each in read.parameters] == [
        ("x", False, False),
        ("y", False, True),
    ]
    assert read.takes_any


def test_what_is_bound_is_not_a_parameter() -> None:
    """As with functools.partial."""
    parameters = read_signature(partial(pow, 2)).parameters

    assert [each.name for each in parameters] == ["exp", "mod"]


@pytest.mark.parametrize(
    ("function", "error", "reason"),
    [
        (5, CloudTypeError, "must be a function, not 5"),
        (lambda x, /: x, CloudException, "'x' cannot be given by name"),
        (dict.fromkeys, CloudException, "cannot be given by name|are not known"),
        (type, CloudException, "are not known"),
    ],
)
def test_what_cannot_be_published_is_refused(
    function: Any, error: type[Exception], reason: str
) -> None:
    """The error says why."""
    with pytest.raises(error, match=reason):
        read_signature(function)
