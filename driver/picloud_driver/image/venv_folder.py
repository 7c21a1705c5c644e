"""The directory of virtual environments: where each image and the traces of its builds are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import msgspec
from picloud_model.errors import RequestRefused

_IMAGE: Final = re.compile(r"sha256:([0-9a-f]{64})")
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
        return self.root / "images" / _hex(image)

    def python(self, image: str) -> Path:
        """Return the interpreter of an image."""
        return self.image(image) / "bin" / "python"

    def log(self, image: str) -> Path:
        """Return the log of the latest build of an image."""
        return self.root / "builds" / f"{_hex(image)}.log"

    def problem(self, image: str) -> Path:
        """Return the file that says why the latest build of an image failed."""
        return self.root / "builds" / f"{_hex(image)}.problem"

    def lock(self, image: str) -> Path:
        """Return the file that the builder of an image locks."""
        return self.root / "builds" / f"{_hex(image)}.lock"

    @property
    def scratch(self) -> Path:
        """Where builds work; on the same disk as the images."""
        return self.root / "scratch"

    def worker(self, python: str) -> Path:
        """Return the directory from which interpreters of a minor version import the worker."""
        return self.root / "worker" / python


def _hex(image: str) -> str:
    matched = _IMAGE.fullmatch(image)
    if matched is None:
        raise RequestRefused(f"{image[:80]!r} is not a valid digest of an image.", field="image")
    return matched[1]
