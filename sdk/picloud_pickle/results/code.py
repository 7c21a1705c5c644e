"""The code that a result needs: its pickle is followed by the digests of the bundles it is in.

Unpickling ignores bytes after a pickle. So a result that may hold objects of shipped modules tells
where these are, and a process that lacks them can fetch them.
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from picloud_model.wire import MOST_BUNDLES, ORIGINS_FILE, with_bundles

if TYPE_CHECKING:
    from collections.abc import Iterator

_SEARCHED_BYTES: Final = 64 * 1024
"""Larger pickles get the trailer without a search for the names of modules."""


class CodeTrees:
    """The directories of shipped modules that this process imports from, by bundle.

    >>> trees = CodeTrees()
    >>> trees.attach(b"mine.model.")
    b'mine.model.'
    """

    def __init__(self) -> None:
        self._patterns: dict[str, re.Pattern[bytes]] = {}
        self._directories: list[str] = []

    def __contains__(self, digest: str) -> bool:
        return digest in self._patterns

    def add(self, digest: str, directory: str) -> None:
        """Add the directory with the modules of a bundle."""
        paths = [path for path in Path(directory).iterdir() if path.name != ORIGINS_FILE]
        names = sorted(path.name.removesuffix(".py").encode() for path in paths)
        self._directories.append(directory)
        self._patterns[digest] = re.compile(b"|".join(map(re.escape, names)) or b"(?!)")

    def shown_path(self, filename: str) -> str:
        """Return the file that a shipped module was made of, for a file in one of the trees.

        Any other name is returned as it is.
        """
        for path, origin in self._origins():
            if filename == path or filename.startswith(f"{path}/"):
                return origin + filename[len(path) :]
        return filename

    def shown_text(self, text: str) -> str:
        """Return a text in which files of the trees are named as by `shown_path`."""
        for path, origin in self._origins():
            text = text.replace(path, origin)
        return text

    def _origins(self) -> Iterator[tuple[str, str]]:
        """Yield the packages and modules in the trees, each with what it was made of."""
        import json  # noqa: PLC0415 - only failures need it

        for directory in self._directories:
            with suppress(OSError, ValueError):
                origins = json.loads(Path(directory, ORIGINS_FILE).read_bytes())
                for target, origin in origins.items():
                    yield f"{directory}/{target}", origin

    def attach(self, pickled: bytes) -> bytes:
        """Return a pickle with the digests of the bundles whose modules it may name."""
        if not self._patterns:
            return pickled
        digests = [
            digest
            for digest, pattern in self._patterns.items()
            if len(pickled) > _SEARCHED_BYTES or pattern.search(pickled)
        ]
        return with_bundles(pickled, digests[:MOST_BUNDLES])


TREES: Final = CodeTrees()
"""Those of this process."""
