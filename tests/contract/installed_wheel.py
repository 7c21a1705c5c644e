"""Wheels of packages that the tests' own environment has: C extensions without an index."""

from __future__ import annotations

import importlib.metadata
import zipfile
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_OF_INSTALLATION: Final = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")


def installed_wheel(name: str, folder: Path) -> Path:
    """Write the installed version of a package as a wheel, and return its path."""
    found = importlib.metadata.distribution(name)
    lines = (found.read_text("WHEEL") or "").splitlines()
    tag = next(line.removeprefix("Tag: ") for line in lines if line.startswith("Tag: "))
    folder.mkdir(exist_ok=True)
    wheel = folder / f"{name.replace('-', '_')}-{found.version}-{tag}.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for file in found.files or ():
            is_made = file.parent.suffix == ".dist-info" and file.name in _OF_INSTALLATION
            if not is_made and not {"..", "__pycache__"} & {*file.parts}:
                archive.write(str(file.locate()), str(file))
        (info,) = {each.parts[0] for each in found.files or () if each.parts[0].endswith("-info")}
        archive.writestr(f"{info}/RECORD", "")
    return wheel
