"""Vendored files: fetches the scripts of the web pages from npm, at the versions named here.

`make vendor` runs it. The wheel contains the files, so neither users nor browsers need npm. With
a folder as its argument it writes what tests in a browser need there, as `make browser` does.
"""

from __future__ import annotations

import base64
import hashlib
import io
import subprocess
import sys
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


_HYPARQUET = [
    "alp",
    "assemble",
    "bloom",
    "column",
    "constants",
    "convert",
    "datapage",
    "delta",
    "encoding",
    "filter",
    "geoparquet",
    "indexes",
    "metadata",
    "plain",
    "plan",
    "read",
    "rowgroup",
    "scan",
    "schema",
    "snappy",
    "thrift",
    "utils",
    "variant",
    "wkb",
    "xxhash",
]
"""The modules of hyparquet that reading the first rows of a file takes."""
SHIPPED = (
    NpmPackage(
        "htmx.org",
        "4.0.1",
        "oF7JgXhDW9UXCy/k1ZYFUQgzu/rm19ORWPSPNL91vPluB2PB9+MV55tyQdH/w7o2EAbTYUG5SDW1R60mdkdqGg==",
        {"htmx.min.js": "dist/htmx.min.js", "htmx.LICENSE.txt": "LICENSE"},
    ),
    NpmPackage(
        "uplot",
        "1.6.32",
        "KIMVnG68zvu5XXUbC4LQEPnhwOxBuLyW1AHtpm6IKTXImkbLgkMy+jabjLgSLMasNuGGzQm/ep3tOkyTxpiQIw==",
        {
            "uPlot.min.js": "dist/uPlot.iife.min.js",
            "uPlot.min.css": "dist/uPlot.min.css",
            "uPlot.LICENSE.txt": "LICENSE",
        },
    ),
    NpmPackage(
        "hyparquet",
        "1.33.0",
        "8EKLe73vRIMEKVEOe5y+kIzFxo6AvbLvd5ukd7P+yv3RvG0+TZM4qO8imbqxU6zds5pV+OeWRTMwy95mhHUheg==",
        # Its modules import each other, so the version is in the name of their folder.
        {
            "hyparquet-1.33.0/LICENSE.txt": "LICENSE",
            **{f"hyparquet-1.33.0/{name}.js": f"src/{name}.js" for name in _HYPARQUET},
        },
    ),
)
"""What pages contain."""
FOR_TESTS = (
    NpmPackage(
        "axe-core",
        "4.14.1",
        "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
        {"axe.min.js": "axe.min.js"},
    ),
)
"""What tests put into pages."""


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
    """Write the files of the packages that pages contain, or of those that tests need."""
    folder_of_tests = sys.argv[1:]
    target = Path(folder_of_tests[0]) if folder_of_tests else STATIC
    for package in FOR_TESTS if folder_of_tests else SHIPPED:
        with tempfile.TemporaryDirectory() as folder:
            data = fetch(package, folder)
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for name, path in package.files.items():
                file = archive.extractfile(f"package/{path}")
                if file is None:
                    raise SystemExit(f"{package.name} {package.version} has no file {path}.")
                (target / name).parent.mkdir(exist_ok=True)
                (target / name).write_bytes(file.read())


if __name__ == "__main__":
    main()
