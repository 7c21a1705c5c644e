"""Functions have names for people."""

from __future__ import annotations

import os.path
from functools import partial
from typing import Any

import pytest
from cloud._packing.packer import name_of


class Caller:
    """Can be called, has methods."""

    def __call__(self) -> None:
        """Be called."""

    @classmethod
    def make(cls) -> None:
        """Be called on the class."""


class Evasive(Caller):
    """Answers anything it is asked."""

    def __getattr__(self, name: str) -> Any:
        return self


def painted() -> None:
    """Named below."""


painted.__qualname__ = "red\x1b[31m\n" + "x" * 400


@pytest.mark.parametrize(
    ("func", "name"),
    [
        (len, "builtins.len"),
        (os.path.join, "posixpath.join"),
        (lambda: 0, "lambda"),
        (partial(partial(os.path.join, "a"), "b"), "posixpath.join"),
        (partial(lambda: 0), "lambda"),
        (Caller.make, f"{__name__}.Caller.make"),
        (Caller().make, f"{__name__}.Caller.make"),
        (Caller(), f"{__name__}.Caller"),
        (Caller, f"{__name__}.Caller"),
        (Evasive(), f"{__name__}.Evasive"),
        ("a".join, "str.join"),
    ],
)
def test_each_kind_has_its_name(func: Any, name: str) -> None:
    """The name is module and qualified name, of what a partial wraps or an object is."""
    assert name_of(func) == name


def test_names_are_harmless() -> None:
    """Control characters are left out, and a name is no longer than the wire takes."""
    name = name_of(painted)

    assert "red[31mxxx" in name
    assert name.isprintable()
    assert len(name) == 300
