"""Another module of the user's own, which registers with the first when it is imported."""

from __future__ import annotations

from typing import Any

from tests.corpus.shapes import Plugin, area, hook, plugin


class Triangle:
    """A shape of this module."""

    height = 3


@area.register
def _(shape: Triangle) -> Any:
    return shape.height


class Shaped(Plugin):
    """A plugin of this module."""


@plugin
def tripled(x: int) -> int:
    """Return a number three times as large."""
    return 3 * x


@hook
def raised(x: int) -> int:
    """Return the next number."""
    return x + 1
