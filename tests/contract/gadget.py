"""A package from a local wheel, and a recipe of an environment with it."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

from picloud_model.wire.environment import Recipe

if TYPE_CHECKING:
    from pathlib import Path

NOTE = "gadget=$(python -c 'import gadget; print(gadget.answer)'); printf %s $gadget >> share/note"
GADGET = Recipe(pip=["gadget==1.0"], files={"share/note": "hello"}, commands=[NOTE])


def make_wheel(
    folder: Path, name: str = "gadget", *, needs: str = "", tag: str = "py3-none-any"
) -> None:
    """Write a wheel of version 1.0 of a package, which may need another one, or one platform."""
    folder.mkdir(exist_ok=True)
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(folder / f"{name}-1.0-{tag}.whl", "w") as wheel:
        wheel.writestr(f"{name}.py", "answer = 42\n")
        about = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        about += f"Requires-Dist: {needs}\n" if needs else ""
        wheel.writestr(f"{info}/METADATA", about)
        kind = f"Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: {tag}\n"
        wheel.writestr(f"{info}/WHEEL", kind)
        wheel.writestr(f"{info}/RECORD", "")
