"""The bases of slots in containers that `make images` makes, and the labels of their images."""

from __future__ import annotations

from typing import Final, NamedTuple

SUITE_LABEL: Final = "picloud.base"
PYTHON_LABEL: Final = "picloud.python"
"""Labels of the image of a base, which all images that are made from it inherit."""


class SlotBase(NamedTuple):
    """A base: the suite of Debian it is made from, its version, and its Python.

    It cannot unpickle functions of another minor version of Python.
    """

    suite: str
    debian: int
    python: tuple[int, int]

    @property
    def version(self) -> str:
        """Its Python as text, such as "3.11"."""
        return ".".join(map(str, self.python))


BASES: Final = (SlotBase("bookworm", 12, (3, 11)), SlotBase("trixie", 13, (3, 13)))
"""The first one has what tests and documentation run on."""
