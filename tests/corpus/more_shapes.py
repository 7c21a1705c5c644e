"""Another module of the user's own, which registers with the first when it is imported."""

from __future__ import annotations

from typing import Any

from tests.corpus.shapes import area


class Triangle:
    """A shape of this module."""

    height = 3


@area.register
def _(shape: Triangle) -> Any:
    return shape.height
