"""A package from a local wheel, and a recipe of an environment with it."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

from picloud_model.wire.environment import Recipe

if TYPE_CHECKING:
    from pathlib import Path

NOTE = "gadget=$(python -c 'import gadget; print(gadget.answer)'); printf %s $gadget >> share/note"
GADGET = Recipe(pip=["gadget==1.0"], files={"share/note": "hello"}, commands=[NOTE])


def make_wheel(folder: Path) -> None:
    """Write a wheel of a package `gadget`."""
    folder.mkdir()
    with zipfile.ZipFile(folder / "gadget-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("gadget.py", "answer = 42\n")
        about = "Metadata-Version: 2.1\nName: gadget\nVersion: 1.0\n"
        wheel.writestr("gadget-1.0.dist-info/METADATA", about)
        kind = "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        wheel.writestr("gadget-1.0.dist-info/WHEEL", kind)
        wheel.writestr("gadget-1.0.dist-info/RECORD", "")
