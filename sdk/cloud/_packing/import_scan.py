"""Which modules a piece of code imports, read from its bytecode without running it.

Bytecode rather than syntax trees: functions have no source, and for 50 modules whose compiled form
Python has cached this takes 3 ms where `ast` takes 67.
"""

from __future__ import annotations

from dis import opmap
from types import CodeType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_IMPORT: Final = opmap["IMPORT_NAME"]
_EXTENDED: Final = opmap["EXTENDED_ARG"]
_CONST: Final = opmap["LOAD_CONST"]
_BY_NAME: Final = frozenset(("import_module", "__import__"))


def imported(code: CodeType, package: str) -> set[str]:
    """Return the absolute names of everything that code may import, lazily too.

    `from a import b` counts as `a` and `a.b`, as `b` may be a module. Where code calls
    `importlib.import_module` or `__import__`, each of its text constants that could name a module
    counts: better a file too many than a job that lacks one.

    Args:
        code: A function's or module's code.
        package: The package relative imports start from, or "".

    >>> sorted(imported(compile("import a.b; from ..c import d", "", "exec"), "p.q"))
    ['a.b', 'p.c', 'p.c.d']
    """
    names: set[str] = set()
    waiting = [code]
    while waiting:
        code = waiting.pop()
        waiting.extend(const for const in code.co_consts if isinstance(const, CodeType))
        for level, name, members in _statements(code):
            base = absolute(name, level, package)
            if base:
                names.add(base)
                names.update(f"{base}.{member}" for member in members or () if member != "*")
        if not _BY_NAME.isdisjoint(code.co_names):
            names.update(_literals(code, package))
    return names


def absolute(name: str, level: int, package: str) -> str:
    """Return the absolute name of an import, or "" when it leaves the package.

    >>> absolute("c", 2, "p.q"), absolute("os", 0, "p.q"), absolute("c", 3, "p.q")
    ('p.c', 'os', '')
    """
    if not level:
        return name
    parts = package.split(".") if package else []
    if len(parts) < level:
        return ""
    return ".".join([*parts[: len(parts) - level + 1], *filter(None, (name,))])


def _statements(code: CodeType) -> Iterator[tuple[int, str, tuple[str, ...] | None]]:
    """Each import of this code object itself: level, name, names after `from ... import`."""
    raw = code.co_code
    operations = raw[::2]  # caches between instructions read as zeros
    at = operations.find(_IMPORT)
    while at >= 0:
        number, before = _argument(raw, at)
        members, before = _loaded(code, raw, before)
        level, _ = _loaded(code, raw, before)
        yield level, code.co_names[number], members
        at = operations.find(_IMPORT, at + 1)


def _argument(raw: bytes, at: int) -> tuple[int, int]:
    """Return the argument of the instruction at a position, and the position before it."""
    argument, shift, at = raw[2 * at + 1], 8, at - 1
    while at >= 0 and raw[2 * at] == _EXTENDED:
        argument |= raw[2 * at + 1] << shift
        shift, at = shift + 8, at - 1
    return argument, at


def _loaded(code: CodeType, raw: bytes, at: int) -> tuple[Any, int]:
    """Return the constant that an instruction loads; Python 3.14 has small numbers inline."""
    argument, before = _argument(raw, at)
    return code.co_consts[argument] if raw[2 * at] == _CONST else argument, before


def _literals(code: CodeType, package: str) -> Iterator[str]:
    for const in code.co_consts:
        if isinstance(const, str):
            name = const.lstrip(".")
            if name and all(part.isidentifier() for part in name.split(".")):
                yield absolute(name, len(const) - len(name), package)
