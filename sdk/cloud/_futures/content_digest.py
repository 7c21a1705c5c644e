"""Digests of functions and arguments that are equal in every process.

A pickle of equal values differs between processes: by the order of sets, by which strings are one
object, and by the tokens under which functions of a main program travel.
"""

from __future__ import annotations

import pickle
from hashlib import sha256
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any, Final

import cloudpickle
from picloud_pickle.reference import by_reference

from cloud.errors import CloudException

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_PLAIN: Final = frozenset((int, float, complex, bool, type(None), type(Ellipsis), range))
_NOT_OF_CLASSES: Final = frozenset(
    ("__dict__", "__weakref__", "__module__", "__doc__", "__firstlineno__", "_abc_impl")
)
"""Members of classes that say nothing about what they do, or that each process makes."""
_PROTOCOL: Final = 4
"""The protocol whose reductions are digested: they hold no buffers outside of the pickle."""


def content_digest(value: object) -> str:
    """Return the SHA-256, in hex, of what a value is made of.

    Functions and classes of modules count by their names, those of the main program by their code,
    and other objects by what they are pickled from.

    Raises:
        CloudException: When a part of it cannot be pickled, or it is nested too deep.

    >>> content_digest({"a": {1, 2}}) == content_digest({"a": {2, 1}})
    True
    >>> content_digest(lambda x: x + 1) == content_digest(lambda x: x + 2)
    False
    """
    try:
        return _Digester().of(value).hex()
    except (TypeError, AttributeError, pickle.PicklingError, RecursionError) as error:
        raise CloudException(
            f"Cannot tell whether {value!r:.80} is the same as before: "
            f"{type(error).__name__}: {error}"
        ) from error


class _Digester:
    """Digests one value; an object that occurs again is digested once."""

    def __init__(self) -> None:
        self._known: dict[int, bytes] = {}
        self._kept: list[object] = []
        """What has a digest, so that no other object gets its id."""
        self._by_kind: dict[type, Callable[[Any], Iterable[bytes]]] = {
            list: self._items,
            tuple: self._items,
            dict: self._dict,
            set: self._set,
            frozenset: self._set,
            FunctionType: self._function,
            CodeType: self._code,
            MethodType: self._method,
            ModuleType: self._module,
        }

    def of(self, value: Any) -> bytes:
        """Return the digest of a value."""
        kind = type(value)
        if kind in _PLAIN:
            return _digest(kind.__name__, pickle.dumps(value, _PROTOCOL))
        if kind is str:
            return _digest("str", value.encode("utf-8", "surrogatepass"))
        if kind in (bytes, bytearray):
            return _digest(kind.__name__, bytes(value))
        known = self._known.get(id(value))
        if known is not None:
            return known
        self._known[id(value)] = _digest("within", str(len(self._kept)).encode())
        self._kept.append(value)
        made = self._known[id(value)] = _digest(kind.__name__, *self._parts(value))
        return made

    def _parts(self, value: Any) -> Iterable[bytes]:
        if isinstance(value, type):
            return self._class(value)
        return self._by_kind.get(type(value), self._reduced)(value)

    def _items(self, values: Iterable[Any]) -> Iterable[bytes]:
        return map(self.of, values)

    def _set(self, values: Iterable[Any]) -> Iterable[bytes]:
        return sorted(map(self.of, values))

    def _dict(self, values: dict[Any, Any]) -> Iterable[bytes]:
        return sorted(self.of(key) + self.of(each) for key, each in values.items())

    def _method(self, method: MethodType) -> Iterable[bytes]:
        return self.of(method.__func__), self.of(method.__self__)

    def _module(self, module: ModuleType) -> Iterable[bytes]:
        return [module.__name__.encode()]

    def _function(self, function: FunctionType) -> Iterator[bytes]:
        yield f"{function.__module__}.{function.__qualname__}".encode()
        if by_reference(function):
            return
        yield self.of(function.__code__)
        yield self.of([function.__defaults__, function.__kwdefaults__, function.__dict__])
        yield self.of([cell.cell_contents for cell in function.__closure__ or ()])
        scope = function.__globals__
        for name in sorted(_names(function.__code__)):
            if name in scope:
                yield name.encode()
                yield self.of(scope[name])

    def _code(self, code: CodeType) -> Iterator[bytes]:
        yield code.co_code
        yield self.of([code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars])
        yield self.of([code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount])
        yield self.of([code.co_flags, code.co_consts, code.co_exceptiontable])

    def _class(self, kind: type) -> Iterator[bytes]:
        yield f"{kind.__module__}.{kind.__qualname__}".encode()
        if by_reference(kind):
            return
        yield self.of(kind.__bases__)
        for name, member in sorted(vars(kind).items()):
            if name not in _NOT_OF_CLASSES:
                yield name.encode()
                yield self.of(_inner(member))

    def _reduced(self, value: Any) -> Iterator[bytes]:
        reduce = cloudpickle.Pickler.dispatch_table.get(type(value))
        reduced = reduce(value) if reduce else value.__reduce_ex__(_PROTOCOL)
        if isinstance(reduced, str):
            yield f"{type(value).__module__}.{reduced}".encode()
            return
        made, arguments, *rest = reduced
        yield self.of(made)
        yield self.of(arguments)
        for part in rest:
            if part is not None and not callable(part):
                yield self.of(part if isinstance(part, tuple | dict) else list(part))


def _digest(kind: str, *parts: bytes) -> bytes:
    """Return a digest of parts, none of which can be taken for another."""
    made = sha256(kind.encode())
    for part in parts:
        made.update(len(part).to_bytes(8))
        made.update(part)
    return made.digest()


def _names(code: CodeType) -> set[str]:
    """Return the names that code and the functions within it may look up."""
    names = set(code.co_names)
    for each in code.co_consts:
        if isinstance(each, CodeType):
            names |= _names(each)
    return names


def _inner(member: Any) -> Any:
    """Return the functions of a descriptor, which cannot be pickled itself."""
    if isinstance(member, property):
        return member.fget, member.fset, member.fdel
    if isinstance(member, classmethod | staticmethod):
        return member.__func__
    return member
