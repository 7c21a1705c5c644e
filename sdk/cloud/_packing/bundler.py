"""Bundles of the user's own modules, by content hash: a job imports what it could import at home.

Starting from the modules that a pickle names, every local module that they import is found without
running any of them. A package is sent whole, with its data files unless these are too large; a
single module alone. Installed and compiled modules
are not sent: the slot's environment has them, or the job's ImportError names them.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model import wire

from cloud._packing.errors import PackingError
from cloud._packing.module_source import (
    MISSING,
    ModuleKind,
    ModuleSource,
    allowed,
    find,
    is_foreign,
    may_be_local,
    source_file,
)
from cloud._packing.source_files import (
    MOST_DATA,
    SourceCache,
    SourceContent,
    SourceFile,
    Stamp,
    in_archive,
    in_directory,
    unchanged,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

log = logging.getLogger(__name__)

MAX_BYTES: Final = 64 * 1024 * 1024
"""Largest bundle, in bytes of source."""
_CURE: Final = "restore it or restart Python"
_KEPT: Final = 64
"""How many bundles are cached; when there are more, the cache is emptied."""


class Bundle(msgspec.Struct, frozen=True):
    """Modules that travel with a function.

    `manifest` is an encoded `wire.Manifest`, `digest` its SHA-256 in hex, `files` the content of
    each file by its digest. Without modules all are empty. `sizes` are the files by their paths,
    `left_out` says which packages travel without their data, and why.
    """

    digest: str = ""
    manifest: bytes = b""
    files: Mapping[str, bytes] = MappingProxyType({})
    sizes: Mapping[str, int] = MappingProxyType({})
    left_out: tuple[str, ...] = ()


NOTHING: Final = Bundle()


class Bundler:
    """Makes bundles and caches them until one of their files changes; thread-safe.

    Args:
        now: The time in ns since the epoch, as files' times of change have it.
        data_limit: Returns how many bytes of data files a package may have to travel with them.
    """

    def __init__(self, now: Callable[[], int], data_limit: Callable[[], int]) -> None:
        self._sources = SourceCache(now)
        self._data_limit = data_limit
        self._kept: dict[tuple[object, ...], tuple[Bundle, dict[str, Stamp | None]]] = {}
        self._lock, self._pid = Lock(), os.getpid()

    def bundle(self, roots: frozenset[str]) -> Bundle:
        """Return the local modules among `roots`, with all local modules that they import.

        Args:
            roots: Names of modules, local or not.

        Raises:
            PackingError: When a file was deleted, or the bundle would be too large.
        """
        if not roots:
            return NOTHING
        limit = self._data_limit()
        key = (roots, allowed(), limit, *sys.path)
        kept = self._kept.get(key)
        if kept is not None and unchanged(kept[1]):
            return kept[0]
        if self._pid != os.getpid():  # after a fork, a lock that was held is never released
            self._lock, self._pid = Lock(), os.getpid()
        gathering = _Gathering(self._sources, limit)
        with self._lock:
            gathering.follow(sorted(roots))
            gathering.check(roots)
        made = gathering.bundle()
        if len(self._kept) >= _KEPT:
            self._kept.clear()
        self._kept[key] = made, gathering.stamps
        return made


class _Gathering:
    """One search for the modules of a bundle."""

    def __init__(self, sources: SourceCache, data_limit: int) -> None:
        self._sources = sources
        self._data_limit = data_limit
        self._left_out: list[str] = []
        self._origins: dict[str, ModuleSource] = {}
        self._seen: set[str] = set()
        self._files: dict[str, SourceContent] = {}
        self._sizes: dict[str, int] = {}
        self._places: dict[str, str] = {}
        self._directories: set[str] = set()
        self.stamps: dict[str, Stamp | None] = {}

    def follow(self, names: Iterable[str]) -> None:
        """Add modules, those that they import, and so on."""
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name not in self._seen and may_be_local(name):
                self._seen.add(name)
                for source in self._brought(name):
                    waiting.extend(source.imports)

    def check(self, roots: Iterable[str]) -> None:
        """Check that the source files of the requested modules still exist.

        Raises:
            PackingError: When one has.
        """
        for name in roots:
            path, target = source_file(name), name.replace(".", "/")
            if {f"{target}.py", f"{target}/__init__.py"}.isdisjoint(self._files) and (
                path and not is_foreign(path) and not Path(path).exists()
            ):
                raise PackingError(
                    f"Cannot send module {name!r}: its source {path} was deleted; {_CURE}."
                )

    def bundle(self) -> Bundle:
        """Return the bundle of all files that were added."""
        if not self._files:
            return NOTHING
        taken = sorted(self._files.items())
        modules = [wire.Module(path, source.digest) for path, source in taken]
        origins = dict(sorted(self._places.items()))
        manifest = wire.encode(wire.Manifest(modules=modules, origins=origins))
        files = MappingProxyType({source.digest: source.content for _, source in taken})
        log.debug("packed %d files of local modules", len(taken))
        return Bundle(
            digest=sha256(manifest).hexdigest(),
            manifest=manifest,
            files=files,
            sizes={path: len(source.content) for path, source in taken},
            left_out=tuple(self._left_out),
        )

    def _brought(self, name: str) -> Iterable[SourceContent]:
        """Return the source files of the first package or module on the path to a name, if new."""
        parts = name.split(".")
        parents: tuple[str, ...] | None = None
        for depth in range(1, len(parts) + 1):
            above = ".".join(parts[:depth])
            visited = above in self._origins
            origin = self._origins.get(above) or find(above, parents)
            self._origins[above] = origin
            if origin.kind is ModuleKind.NAMESPACE:
                parents = origin.paths
            elif origin.kind is ModuleKind.MISSING:
                return self._lost(name, above, parents)
            elif origin.kind is ModuleKind.FOREIGN or visited:
                return ()
            else:
                return self._read(above, origin)
        return ()

    def _lost(
        self, name: str, above: str, parents: Sequence[str] | None
    ) -> Iterable[SourceContent]:
        """Return the files of a module that no parent leads to, if it has a loader of its own."""
        origin = find(name) if name != above and name in sys.modules else MISSING
        if origin.kind is ModuleKind.MODULE:
            return self._read(name, origin)
        # When the module is written later, one of these directories changes.
        for directory in sys.path if parents is None else parents:
            if directory not in self._directories:
                self._directories.add(directory)
                if not is_foreign(directory):
                    with suppress(OSError):
                        self.stamps[directory] = self._sources.stamp(directory or ".")
        return ()

    def _read(self, name: str, origin: ModuleSource) -> Iterable[SourceContent]:
        try:
            files = self._listed(name.replace(".", "/"), origin)
            self._weigh(files)
            sources = {entry.target: self._sources.read(entry) for entry in files}
        except OSError as error:
            path = error.filename or origin.archive
            why = (
                "was deleted"
                if isinstance(error, FileNotFoundError)
                else f"is unreadable ({error})"
            )
            raise PackingError(
                f"Cannot send module {name!r}: its source {path} {why}; {_CURE}."
            ) from error
        for entry in files:
            self.stamps[entry.archive or entry.path] = sources[entry.target].stamp
        self._files.update(sources)
        if files and origin.paths[0].isprintable():
            single = origin.kind is ModuleKind.MODULE
            target = f"{name.replace('.', '/')}{'.py' if single else ''}"
            path = origin.paths[0]
            self._places[target] = path if path.startswith(os.sep) else str(Path(path).absolute())
        return sources.values()

    def _listed(self, target: str, origin: ModuleSource) -> list[SourceFile]:
        if origin.kind is ModuleKind.MODULE:
            (path,) = origin.paths
            if not origin.archive:
                size = os.stat(path).st_size  # noqa: PTH116 - as in `source_files`
                return [SourceFile(f"{target}.py", path, size)]
            return in_archive(origin.archive, path, target)
        listed: dict[str, SourceFile] = {}
        for directory in origin.paths:
            if origin.archive:
                files = in_archive(origin.archive, directory, target)
            else:
                found = in_directory(directory, target)
                files = found.sources + self._data(target, found.data)
                self.stamps.update((held, self._sources.stamp(held)) for held in found.directories)
            for entry in files:
                listed.setdefault(entry.target, entry)  # as import does: the first wins
        return list(listed.values())

    def _data(self, target: str, paths: Mapping[str, str]) -> list[SourceFile]:
        """Return the data files of a package: all of them, or none where they are too many."""
        if not (paths and self._data_limit):
            return []
        if len(paths) > MOST_DATA:
            self._left_out.append(f"{target}: more than {MOST_DATA:,} data files")
            return []
        files = [SourceFile(at, path, Path(path).stat().st_size) for at, path in paths.items()]
        size = sum(file.size for file in files)
        if size > self._data_limit:
            self._left_out.append(
                f"{target}: {size:,} bytes of data, and cloud.config.package_data is "
                f"{self._data_limit:,}"
            )
            return []
        return files

    def _weigh(self, files: Iterable[SourceFile]) -> None:
        self._sizes.update((entry.path, entry.size) for entry in files)
        total = sum(self._sizes.values())
        if total > MAX_BYTES:
            largest = sorted(self._sizes.items(), key=lambda item: -item[1])[:3]
            named = ", ".join(f"{path} ({size / 1e6:.1f} MB)" for path, size in largest)
            raise PackingError(
                f"Cannot send your modules: {total / 1e6:.0f} MB of source is more than "
                f"{MAX_BYTES / 1e6:.0f} MB; the largest are {named}. Move data out of them, "
                "or put them into an environment."
            )
