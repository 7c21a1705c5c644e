"""Tables of modules in which jobs register things: modules, reducers, log levels, adapters.

A table is compared by the identity of its values, which takes a few nanoseconds for each of them.
An entry that a job has added, replaced or deleted is put back. One that an import has made stays,
because an import happens once.
"""

from __future__ import annotations

import sys
from functools import partial, reduce
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from picloud_pickle.copies import is_copy

from picloud_worker.restore.dict_version import version_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

TableSnapshot = dict["_Place", dict[Any, Any]]
"""The entries of the tables in the middle of a job."""
_ABSENT: Final = object()
_MODULES: Final = "sys.modules"
_SHOWN: Final = 3


class _Place(NamedTuple):
    """Where a table is; messages call it `name`."""

    name: str
    module: str
    path: tuple[str, ...]


_PLACES: Final = (
    _Place(_MODULES, "sys", ("modules",)),
    _Place("copyreg.pickle", "copyreg", ("dispatch_table",)),
    _Place("logging.addLevelName", "logging", ("_levelToName",)),
    _Place("logging.addLevelName", "logging", ("_nameToLevel",)),
    _Place("mimetypes.add_type", "mimetypes", ("types_map",)),
    _Place("mimetypes.add_type", "mimetypes", ("common_types",)),
    _Place("sqlite3.register_adapter", "sqlite3.dbapi2", ("adapters",)),
    _Place("sqlite3.register_converter", "sqlite3.dbapi2", ("converters",)),
    _Place("shutil.register_archive_format", "shutil", ("_ARCHIVE_FORMATS",)),
    _Place("shutil.register_unpack_format", "shutil", ("_UNPACK_FORMATS",)),
    _Place("ElementTree.register_namespace", "xml.etree.ElementTree", ("_namespace_map",)),
    _Place("register_extension_dtype", "pandas.core.dtypes.base", ("_registry", "dtypes")),
    *(
        _Place("pandas.set_option", "pandas._config.config", ("_global_config", name))
        for name in ("display", "mode")
    ),
    _Place("matplotlib.rcParams", "matplotlib", ("rcParams",)),
)
_CHOSEN_BY_ITSELF: Final = "backend"
"""What matplotlib sets in its table when it is first used."""


class _Table:
    """One of them, with the entries that it is to have."""

    def __init__(self, name: str, owner: Any) -> None:
        self.name: Final = name
        self.owner: Final = owner
        self.known = contents(owner)
        # Bound, as it is called for every table after every job.
        self.read: Callable[[], Iterable[Any]] = (
            owner.copy if type(owner) is list else partial(dict.values, owner)
        )
        self.version = version_of(owner)
        self.values: list[Any] = []
        self.note()

    def note(self) -> None:
        """Take the values for those that need no further look."""
        self.noted = self.version.value
        self.values = [*self.read()]

    def is_as_noted(self) -> bool:
        """Whether all values are the same as when they were noted."""
        version = self.version.value
        if version == self.noted:
            return True
        try:
            same = [*self.read()] == self.values
        except Exception:  # noqa: BLE001 - a job may have put there what cannot be compared
            return False
        if same:
            self.noted = version
        return same

    def put(self, key: Any, value: Any) -> None:
        """Give the table the entry that it is to have."""
        if type(self.owner) is list:
            self.owner[:] = [each for each in self.owner if id(each) != key]
            if value is not _ABSENT:
                self.owner.append(value)
        elif value is _ABSENT:
            dict.pop(self.owner, key, None)
        else:
            dict.__setitem__(self.owner, key, value)


class ModuleTables:
    """The tables of the modules that this process has imported.

    Args:
        is_patched: Whether an entry of a table belongs to the program of the present job.

    >>> import logging
    >>> tables = ModuleTables(lambda owner, key: False)
    >>> logging.addLevelName(7, "LOUD")
    >>> tables.restore()
    (['logging.addLevelName'], [])
    >>> logging.getLevelName(7)
    'Level 7'
    >>> tables.restore()
    ([], [])
    """

    def __init__(self, is_patched: Callable[[Any, Any], bool]) -> None:
        self._is_patched = is_patched
        self._tables: dict[_Place, _Table] = {}
        self.find()

    def find(self) -> None:
        """Add the tables of modules that were imported since: they are to stay as they are now."""
        for place in _PLACES:
            owner = reduce(_attribute, place.path, sys.modules.get(place.module))
            table = self._tables.get(place)
            if owner is not None and (table is None or table.owner is not owner):
                self._tables[place] = _Table(place.name, owner)

    def begin_mimetypes(self) -> None:
        """Have `mimetypes` make its tables, which it would make anew when it is first used."""
        sys.modules["mimetypes"].init()
        self.find()

    def snapshot(self, importing: str) -> TableSnapshot:
        """Return what the tables have before a module is executed that the import has entered."""
        snapshot = {place: contents(table.owner) for place, table in self._tables.items()}
        snapshot[_PLACES[0]].pop(importing, None)
        return snapshot

    def keep_changes(self, snapshot: TableSnapshot) -> None:
        """Have the entries stay that were made since a snapshot."""
        for place, before in snapshot.items():
            table = self._tables[place]
            if table.is_as_noted():
                continue
            for key, value in contents(table.owner).items():
                if before.get(key, _ABSENT) is not value:
                    table.known[key] = value
        self.find()

    def restore(self) -> tuple[list[str], list[str]]:
        """Give the tables the entries that they are to have.

        Returns:
            The names of the tables that were restored, and of those that could not be.
        """
        restored: dict[str, None] = {}
        lost: dict[str, None] = {}
        for table in self._tables.values():
            if table.is_as_noted():
                continue
            try:
                changed = self._restore(table)
            except Exception:  # noqa: BLE001 - whatever keys and modules of jobs raise
                lost[table.name] = None
            else:
                if changed:
                    restored[_described(table.name, changed)] = None
                table.note()
        return [*restored], [*lost]

    def _restore(self, table: _Table) -> list[Any]:
        """Restore a table; return the keys of what was restored."""
        changed: list[Any] = []
        now, known = contents(table.owner), table.known
        for key in [*known, *(key for key in now if key not in known)]:
            value, before = now.get(key, _ABSENT), known.get(key, _ABSENT)
            if value is before or self._is_patched(table.owner, key):
                continue
            if _stays(table.name, key, value, before):
                known[key] = value
            else:
                table.put(key, before)
                changed.append(key)
        return changed


def contents(owner: Any) -> dict[Any, Any]:
    """Return the entries of a table; those of a list are known by their ids."""
    return {id(each): each for each in owner} if type(owner) is list else dict.copy(owner)


def _attribute(owner: Any, name: str) -> Any:
    return owner.get(name) if type(owner) is dict else getattr(owner, name, None)


def _described(name: str, keys: list[Any]) -> str:
    if name != _MODULES:
        return name
    more = ", ..." if len(keys) > _SHOWN else ""
    return f"{name} ({', '.join(map(str, keys[:_SHOWN]))}{more})"


def _stays(name: str, key: Any, value: Any, before: Any) -> bool:
    """Whether an entry may stay: what a job has not changed, but its process by itself."""
    if name == _MODULES:
        return before is _ABSENT and _is_importable(key, value)
    if name == "copyreg.pickle":  # a class that has come with its reducer goes with its job
        return is_copy(key)
    return name == "matplotlib.rcParams" and str(key).startswith(_CHOSEN_BY_ITSELF)


def _is_importable(name: str, module: Any) -> bool:
    """Whether an import of this name leads to such a module, as it does for all programs."""
    spec = getattr(module, "__spec__", None)
    parent, dot, _ = name.rpartition(".")
    path = getattr(sys.modules.get(parent), "__path__", None) if dot else None
    if spec is None or (dot and path is None):
        return False
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        found = None if find is None else find(name, path)
        if found is not None:
            return bool(found.origin == spec.origin)
    return False
