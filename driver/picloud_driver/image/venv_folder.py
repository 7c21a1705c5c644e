"""The directory of virtual environments: where each image is, and the worker that it imports."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from picloud_driver.image.builds import hex_of

DETAILS: Final = "picloud-environment.json"
"""The file of an image that lists what is in it."""


class VenvFolder(msgspec.Struct, frozen=True):
    """The files below the root of one server.

    >>> VenvFolder(Path("/data")).python("sha256:" + 64 * "0").parts[-2:]
    ('bin', 'python')
    """

    root: Path

    def image(self, image: str) -> Path:
        """Return the directory of an image, which exists only once it is complete."""
        return self.root / "images" / hex_of(image)

    def python(self, image: str) -> Path:
        """Return the interpreter of an image."""
        return self.image(image) / "bin" / "python"

    def worker(self, python: str) -> Path:
        """Return the directory from which interpreters of a minor version import the worker."""
        return self.root / "worker" / python
