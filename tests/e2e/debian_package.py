"""A Debian package, made on this machine: setup machines install it without a network."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def debian_package(folder: Path) -> Path:
    """Make a Debian package with one file."""
    root = folder / "gadget"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "usr/share/picloud-gadget").mkdir(parents=True)
    (root / "usr/share/picloud-gadget/note").write_text("hello\n")
    (root / "DEBIAN/control").write_text(
        "Package: picloud-gadget\nVersion: 1.0\nArchitecture: all\n"
        "Maintainer: PiCloud <picloud@example.org>\nDescription: a gadget\n"
    )
    file = folder / "picloud-gadget.deb"
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "--build", root, file], check=True, capture_output=True
    )
    return file
