"""Vendored files: fetches the scripts of the web pages from npm, at the versions named here.

`make vendor` runs it. The wheel contains the files, so neither users nor browsers need npm.
"""

from __future__ import annotations

import base64
import hashlib
import io
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import NamedTuple

STATIC = Path(__file__).parent / "picloud_api" / "web" / "static"


class NpmPackage(NamedTuple):
    """One version of a package: its digest, and its files by the names that they get here."""

    name: str
    version: str
    sha512: str
    files: dict[str, str]


PACKAGES = (
    NpmPackage(
        "htmx.org",
        "4.0.1",
        "oF7JgXhDW9UXCy/k1ZYFUQgzu/rm19ORWPSPNL91vPluB2PB9+MV55tyQdH/w7o2EAbTYUG5SDW1R60mdkdqGg==",
        {"htmx.min.js": "dist/htmx.min.js", "htmx.LICENSE.txt": "LICENSE"},
    ),
)


def fetch(package: NpmPackage, folder: str) -> bytes:
    """Return the archive of a package.

    Raises:
        SystemExit: When it is not the one whose digest is named here.
    """
    subprocess.run(  # noqa: S603
        ["npm", "pack", "--silent", f"{package.name}@{package.version}"],  # noqa: S607
        cwd=folder,
        check=True,
    )
    data = next(Path(folder).glob("*.tgz")).read_bytes()
    digest = base64.b64encode(hashlib.sha512(data).digest()).decode()
    if digest != package.sha512:
        raise SystemExit(f"{package.name} {package.version} has another digest: {digest}")
    return data


def main() -> None:
    """Write the files of every package."""
    for package in PACKAGES:
        with tempfile.TemporaryDirectory() as folder:
            data = fetch(package, folder)
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for name, path in package.files.items():
                file = archive.extractfile(f"package/{path}")
                if file is None:
                    raise SystemExit(f"{package.name} {package.version} has no file {path}.")
                (STATIC / name).write_bytes(file.read())


if __name__ == "__main__":
    main()
