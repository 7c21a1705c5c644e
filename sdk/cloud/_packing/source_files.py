"""Source files of packages: each is read and hashed once, and again only when its stamp changes."""

from __future__ import annotations

import logging
import os
import warnings
from hashlib import sha256
from importlib.machinery import EXTENSION_SUFFIXES, SourceFileLoader
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from cloud._packing.import_scan import imported

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType

log = logging.getLogger(__name__)

Stamp = tuple[int, int, int]
"""Time of change in ns, size and inode: while they stay, so does the content."""

_SETTLED_NS: Final = 50_000_000
_SETTLED_COARSE_NS: Final = 2_000_000_000
"""How old a change must be before the next one has another time: a kernel tick, or two seconds on
file systems that store whole seconds."""
_NO_CODE: Final = frozenset(("__pycache__", "node_modules"))
_NO_DATA: Final = (".pyc", ".pyo", "~", ".log", ".tmp", ".lock", ".pid", ".db", ".sqlite3")
"""Endings of files that are made anew or written to while a program runs."""
MOST_DATA: Final = 1000
"""Data files of a package; of one with more, none travels: each is looked at with every call."""


class SourceFile(msgspec.Struct, frozen=True):
    """A source or data file: `path`, or its name in `archive`; `target` is its path in a bundle."""

    target: str
    path: str
    size: int
    archive: str = ""


class SourceContent(msgspec.Struct, frozen=True):
    """A source file as read; `stamp` is None while the file may still change unseen."""

    stamp: Stamp | None
    content: bytes
    digest: str
    imports: frozenset[str]


class SourceCache:
    """Reads source files and remembers them.

    Args:
        now: The time in ns since the epoch, as files' times of change have it.
    """

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._cached: dict[tuple[str, str, str], SourceContent] = {}

    def stamp(self, path: str) -> Stamp | None:
        """Return the stamp of a file or directory; None when a change right now might not alter it.

        Raises:
            OSError: When there is no such file.
        """
        status = os.stat(path)  # noqa: PTH116 -- Path doubles the cost of the pass over all files
        changed = status.st_mtime_ns
        wait = _SETTLED_NS if changed % 1_000_000_000 else _SETTLED_COARSE_NS
        if self._now() - changed < wait:
            return None
        return changed, status.st_size, status.st_ino

    def read(self, file: SourceFile) -> SourceContent:
        """Return a source file's content, digest and imports.

        Raises:
            OSError: When it was deleted or cannot be read.
        """
        stamp = self.stamp(file.archive or file.path)
        key = file.archive, file.path, file.target
        cached = self._cached.get(key)
        if cached is not None and stamp is not None and cached.stamp == stamp:
            return cached
        content = _content(file)
        source = SourceContent(stamp, content, sha256(content).hexdigest(), _imports(file, content))
        self._cached[key] = source
        return source


def unchanged(stamps: dict[str, Stamp | None]) -> bool:
    """Whether every file still bears its stamp: about 1.5 us a file."""
    stat = os.stat
    try:
        for path, stamp in stamps.items():
            status = stat(path)
            if stamp != (status.st_mtime_ns, status.st_size, status.st_ino):
                return False
    except OSError:
        return False
    return True


class PackageFiles(msgspec.Struct, frozen=True):
    """The files of a package: its sources, the paths of its data by target, their directories."""

    sources: list[SourceFile]
    data: dict[str, str]
    directories: list[str]


def in_directory(directory: str, target: str) -> PackageFiles:
    """Return every source file of a package's directory, and the first of its data files.

    Hidden directories, caches and environments are left out. At most `MOST_DATA + 1` data files
    are listed.

    Raises:
        OSError: When there is no such directory.
    """
    found = PackageFiles([], {}, [])
    # Below a directory whose name no import can have, Python files are data.
    waiting = [(directory, target, frozenset((os.path.realpath(directory),)), True)]
    while waiting:
        here, prefix, chain, code = waiting.pop()
        sources, data, inside = _listed(here, prefix, code=code)
        found.sources.extend(sources)
        found.data.update(islice(data.items(), MOST_DATA + 1 - len(found.data)))
        if sources or data:
            found.directories.append(here)
        for path, below in inside:
            real = os.path.realpath(path)
            if real not in chain:  # a link back to where we came from has no end
                name = os.path.basename(path)  # noqa: PTH119
                waiting.append((path, below, chain | {real}, code and name.isidentifier()))
    return found


def in_archive(archive: str, path: str, target: str) -> list[SourceFile]:
    """Return the source file, or every one of the package, at a path into a zip file.

    Raises:
        OSError: When there is no such archive.
    """
    from zipfile import ZipFile  # noqa: PLC0415 -- few programs run from an archive; 4 ms

    inside = path[len(archive) + 1 :].replace(os.sep, "/").rstrip("/")
    with ZipFile(archive) as opened:
        return [
            SourceFile(
                target + name[len(inside.removesuffix(".py")) :], name, entry.file_size, archive
            )
            for entry in opened.infolist()
            if (name := entry.filename) == inside
            or (name.startswith(f"{inside}/") and name.endswith(".py"))
        ]


def _listed(
    directory: str, target: str, *, code: bool
) -> tuple[list[SourceFile], dict[str, str], list[tuple[str, str]]]:
    sources, data, inside = [], {}, []
    with os.scandir(directory) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            below = f"{target}/{entry.name}"
            if code and entry.name.endswith(".py"):
                if entry.is_file():
                    sources.append(SourceFile(below, entry.path, entry.stat().st_size))
            elif entry.name.endswith(tuple(EXTENSION_SUFFIXES)):
                log.debug("%s is compiled and is not sent", entry.path)
            elif entry.name.startswith("."):
                continue
            elif entry.is_dir():
                if _may_travel(entry.name, entry.path):
                    inside.append((entry.path, below))
            elif not entry.name.endswith(_NO_DATA) and entry.is_file():
                data[below] = entry.path
    return sources, data, inside


def _may_travel(name: str, path: str) -> bool:
    return name not in _NO_CODE and not Path(path, "pyvenv.cfg").exists()


def _content(file: SourceFile) -> bytes:
    if not file.archive:
        return Path(file.path).read_bytes()
    from zipfile import ZipFile  # noqa: PLC0415 -- as above

    with ZipFile(file.archive) as opened:
        return opened.read(file.path)


def _imports(file: SourceFile, content: bytes) -> frozenset[str]:
    if not file.target.endswith(".py"):
        return frozenset()
    package = file.target.rpartition("/")[0].replace("/", ".")
    try:
        return frozenset(imported(_code(file, content), package))
    except Exception as error:  # noqa: BLE001 -- broken code must not keep its neighbours from running
        log.debug("%s does not compile, so its imports are unknown: %s", file.path, error)
        return frozenset()


class _Compiled(SourceFileLoader):
    """Python's own loader, for its cache of compiled code; it leaves no files behind."""

    def set_data(self, path: object, data: object, *, _mode: int = 0o666) -> None:
        """Keep nothing."""


def _code(file: SourceFile, content: bytes) -> CodeType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of syntax: Python gave them when it imported the file
        if file.archive:
            return compile(content, file.path, "exec", dont_inherit=True)
        code = _Compiled("source", file.path).get_code("source")
    if code is None:
        raise ImportError(file.path)
    return code
