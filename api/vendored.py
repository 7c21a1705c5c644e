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
DESKTOP = Path(__file__).parents[1] / "sdk" / "cloud" / "_notebook"
"""What the jobs of desktops serve."""


class NpmPackage(NamedTuple):
    """One version of a package: its digest, and its files by the names that they get here."""

    name: str
    version: str
    sha512: str
    files: dict[str, str]
    folder: Path = STATIC


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
_NOVNC = [
    "core/base64",
    "core/crypto/aes",
    "core/crypto/bigint",
    "core/crypto/crypto",
    "core/crypto/des",
    "core/crypto/dh",
    "core/crypto/md5",
    "core/crypto/rsa",
    "core/decoders/copyrect",
    "core/decoders/h264",
    "core/decoders/hextile",
    "core/decoders/jpeg",
    "core/decoders/raw",
    "core/decoders/rre",
    "core/decoders/tight",
    "core/decoders/tightpng",
    "core/decoders/zlib",
    "core/decoders/zrle",
    "core/deflator",
    "core/display",
    "core/encodings",
    "core/inflator",
    "core/input/domkeytable",
    "core/input/fixedkeys",
    "core/input/gesturehandler",
    "core/input/keyboard",
    "core/input/keysym",
    "core/input/keysymdef",
    "core/input/util",
    "core/input/vkeys",
    "core/input/xtscancodes",
    "core/ra2",
    "core/rfb",
    "core/util/browser",
    "core/util/cursor",
    "core/util/element",
    "core/util/events",
    "core/util/eventtarget",
    "core/util/int",
    "core/util/logging",
    "core/util/strings",
    "core/websock",
    "vendor/pako/lib/utils/common",
    "vendor/pako/lib/zlib/adler32",
    "vendor/pako/lib/zlib/constants",
    "vendor/pako/lib/zlib/crc32",
    "vendor/pako/lib/zlib/deflate",
    "vendor/pako/lib/zlib/gzheader",
    "vendor/pako/lib/zlib/inffast",
    "vendor/pako/lib/zlib/inflate",
    "vendor/pako/lib/zlib/inftrees",
    "vendor/pako/lib/zlib/messages",
    "vendor/pako/lib/zlib/trees",
    "vendor/pako/lib/zlib/zstream",
]
"""The modules of noVNC, which import each other."""
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
    NpmPackage(
        "@novnc/novnc",
        "1.7.0",
        "ucEJOx4T2avIRCleodk7YobZj5O2Ga2AeLfQ69A/yjG9HHba2+PDgwSkN3FttrmG+70ZGx21sElNFouK13RzyA==",
        {
            "novnc-1.7.0/LICENSE.txt": "LICENSE.txt",
            "novnc-1.7.0/MPL-2.0.txt": "docs/LICENSE.MPL-2.0",
            "novnc-1.7.0/AUTHORS.txt": "AUTHORS",
            "novnc-1.7.0/vendor/pako/LICENSE.txt": "vendor/pako/LICENSE",
            **{f"novnc-1.7.0/{name}.js": f"{name}.js" for name in _NOVNC},
        },
        DESKTOP,
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
    for package in FOR_TESTS if folder_of_tests else SHIPPED:
        target = Path(folder_of_tests[0]) if folder_of_tests else package.folder
        with tempfile.TemporaryDirectory() as folder:
            data = fetch(package, folder)
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for name, path in package.files.items():
                file = archive.extractfile(f"package/{path}")
                if file is None:
                    raise SystemExit(f"{package.name} {package.version} has no file {path}.")
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                (target / name).write_bytes(file.read())


if __name__ == "__main__":
    main()
