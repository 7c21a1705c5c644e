"""The user's own modules, sent along by content hash: a job imports what it could at home.

From the modules a pickle names, every local one they import is found without running any: a
package travels whole, a single module alone. What is installed or compiled stays: the slot's
environment has it, or its ImportError names it.
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
    Found,
    Source,
    Sources,
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
"""How many bundles are remembered; a program that makes more starts over."""


class Bundle(msgspec.Struct, frozen=True):
    """Modules that travel with a function.

    `manifest` is an encoded `wire.Manifest`, `digest` its SHA-256 in hex, `files` the content of
    each file by its digest. Without modules all are empty.
    """

    digest: str = ""
    manifest: bytes = b""
    files: Mapping[str, bytes] = MappingProxyType({})


NOTHING: Final = Bundle()


class Bundler:
    """Makes bundles and remembers them while their files stay as they were; thread-safe.

    Args:
        now: The time in ns since the epoch, as files' times of change have it.
    """

    def __init__(self, now: Callable[[], int]) -> None:
        self._sources = Sources(now)
        self._kept: dict[tuple[object, ...], tuple[Bundle, dict[str, Stamp | None]]] = {}
        self._lock, self._pid = Lock(), os.getpid()

    def bundle(self, roots: frozenset[str]) -> Bundle:
        """The local modules among some, and all they import.

        Args:
            roots: Names of modules, local or not.

        Raises:
            PackingError: When a file is gone, or the bundle would be too large.
        """
        if not roots:
            return NOTHING
        key = (roots, allowed(), *sys.path)
        kept = self._kept.get(key)
        if kept is not None and unchanged(kept[1]):
            return kept[0]
        if self._pid != os.getpid():  # a lock that was held when we were forked never opens
            self._lock, self._pid = Lock(), os.getpid()
        gathering = _Gathering(self._sources)
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

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._origins: dict[str, ModuleSource] = {}
        self._seen: set[str] = set()
        self._files: dict[str, Source] = {}
        self._sizes: dict[str, int] = {}
        self.stamps: dict[str, Stamp | None] = {}

    def follow(self, names: Iterable[str]) -> None:
        """Take the modules named, and those they import, and so on."""
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name not in self._seen and may_be_local(name):
                self._seen.add(name)
                for source in self._brought(name):
                    waiting.extend(source.imports)

    def check(self, roots: Iterable[str]) -> None:
        """See that the modules asked for have not lost their files since they were imported.

        Raises:
            PackingError: When one has.
        """
        for name in roots:
            path, target = source_file(name), name.replace(".", "/")
            if {f"{target}.py", f"{target}/__init__.py"}.isdisjoint(self._files) and (
                path and not is_foreign(path) and not Path(path).exists()
            ):
                raise PackingError(
                    f"Cannot send module {name!r}: its source {path} is gone; {_CURE}."
                )

    def bundle(self) -> Bundle:
        """All that was taken."""
        if not self._files:
            return NOTHING
        taken = sorted(self._files.items())
        manifest = wire.encode(
            wire.Manifest(modules=[wire.Module(path, source.digest) for path, source in taken])
        )
        files = MappingProxyType({source.digest: source.content for _, source in taken})
        log.debug("packed %d local source files", len(taken))
        return Bundle(sha256(manifest).hexdigest(), manifest, files)

    def _brought(self, name: str) -> Iterable[Source]:
        """What a name newly brings: the first package or module on the way down to it."""
        parts = name.split(".")
        parents: tuple[str, ...] | None = None
        for depth in range(1, len(parts) + 1):
            above = ".".join(parts[:depth])
            known = self._origins.get(above)
            origin = self._origins[above] = known or find(above, parents)
            if origin.kind is ModuleKind.NAMESPACE:
                parents = origin.paths
            elif origin.kind is ModuleKind.MISSING:
                return self._lost(name, above, parents)
            elif origin.kind is ModuleKind.FOREIGN or known:
                return ()
            else:
                return self._read(above, origin)
        return ()

    def _lost(self, name: str, above: str, parents: Sequence[str] | None) -> Iterable[Source]:
        """A module nothing leads to: loaded in a way of its own, or not there at all."""
        origin = find(name) if name != above and name in sys.modules else MISSING
        if origin.kind is ModuleKind.MODULE:
            return self._read(name, origin)
        # It may yet be written: then one of these directories changes.
        for directory in sys.path if parents is None else parents:
            if not is_foreign(directory):
                with suppress(OSError):
                    self.stamps[directory] = self._sources.stamp(directory or ".")
        return ()

    def _read(self, name: str, origin: ModuleSource) -> Iterable[Source]:
        try:
            found = self._listed(name.replace(".", "/"), origin)
            self._weigh(found)
            sources = {entry.target: self._sources.read(entry) for entry in found}
        except OSError as error:
            path = error.filename or origin.archive
            why = "is gone" if isinstance(error, FileNotFoundError) else f"is unreadable ({error})"
            raise PackingError(
                f"Cannot send module {name!r}: its source {path} {why}; {_CURE}."
            ) from error
        for entry in found:
            self.stamps[entry.archive or entry.path] = sources[entry.target].stamp
        self._files.update(sources)
        return sources.values()

    def _listed(self, target: str, origin: ModuleSource) -> list[Found]:
        if origin.kind is ModuleKind.MODULE:
            (path,) = origin.paths
            if not origin.archive:
                return [Found(f"{target}.py", path, Path(path).stat().st_size)]
            return in_archive(origin.archive, path, target)
        listed: dict[str, Found] = {}
        for directory in origin.paths:
            if origin.archive:
                files = in_archive(origin.archive, directory, target)
            else:
                files, holding = in_directory(directory, target)
                self.stamps.update((held, self._sources.stamp(held)) for held in holding)
            for entry in files:
                listed.setdefault(entry.target, entry)  # as import does: the first wins
        return list(listed.values())

    def _weigh(self, found: Iterable[Found]) -> None:
        self._sizes.update((entry.path, entry.size) for entry in found)
        total = sum(self._sizes.values())
        if total > MAX_BYTES:
            largest = sorted(self._sizes.items(), key=lambda item: -item[1])[:3]
            named = ", ".join(f"{path} ({size / 1e6:.1f} MB)" for path, size in largest)
            raise PackingError(
                f"Cannot send your modules: {total / 1e6:.0f} MB of source is more than "
                f"{MAX_BYTES / 1e6:.0f} MB; the largest are {named}. Move data out of them, "
                "or put them into an environment."
            )
