"""The pickler of both sides: cloudpickle's, which takes more kinds of objects and keeps identity.

A function, an argument and a result are pickled alike, so that what arrives in a job can go back.
"""

from __future__ import annotations

import copyreg
import functools
import io
import operator
import pickle
import sys
import threading
import weakref
from contextvars import ContextVar, Token
from types import ClassMethodDescriptorType, CodeType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any, Final, cast
from weakref import WeakKeyDictionary, WeakSet, WeakValueDictionary

import cloudpickle

from picloud_pickle import (
    builtin_values,
    classes,
    file_objects,
    functions,
    rebuild,
    singletons,
    source_lines,
    typing_objects,
    wrappers,
)
from picloud_pickle.reference import by_reference

if TYPE_CHECKING:
    from collections.abc import Callable

    from picloud_pickle.reference import PicklingContext

    Reducer = Callable[[PicklingContext, Any], Any]

PROTOCOL: Final = 5
_STREAM: Final = cast("type[io.IOBase]", io.IOBase.__base__)
"""The C class under every stream: `io.IOBase` itself is an ABC, six times slower to ask."""
_DEEP_FRAMES: Final = 100_000
"""Python's frames that a second try may take; a level of nesting takes three to five."""
_deep: Final = threading.Lock()


class _Sink(list[bytes]):
    write = list.append


class Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
    """Pickles one value after another; not for two threads at once.

    After an exception it is worthless: make another one.

    Args:
        extras: Whether parts travel that a job can do without, such as the names that only
            annotations use.
    """

    for_jobs = False

    def __init__(self, *, extras: bool = True) -> None:
        self._sink = _Sink()
        self.modules: set[str] = set()
        self.checked_modules: set[str] = set()
        self.reached_modules: set[str] = set()
        self.extras = extras
        self.has_extras = False
        self.source_room = source_lines.MOST_OF_PICKLE
        self.sent_lines: dict[str, list[tuple[int, int]]] = {}
        super().__init__(self._sink, protocol=PROTOCOL)

    def pickled(self, value: object) -> bytes:
        """Return the pickle of a value; what it needs imported is added to `modules`."""
        self.dump(value)
        data = b"".join(self._sink)
        self._sink.clear()
        # Both know objects by their ids, which another value may get again.
        self.clear_memo()
        self.globals_ref.clear()
        self.checked_modules.clear()
        self.reached_modules.clear()
        self.source_room = source_lines.MOST_OF_PICKLE
        self.sent_lines.clear()
        return data

    def note_function(self, function: FunctionType) -> None:
        """Take note of a function that travels by value."""

    def reducer_override(self, value: Any) -> Any:
        """Asked by the C pickler for every object but plain data."""
        kind = type(value)
        if kind is FunctionType:
            return functions.reduced(self, value)
        reducer = _reducers.get(kind)
        if reducer is None:
            reducer = _reducer(kind)
        return reducer(self, value)


def dumps(value: object, *, for_jobs: bool = False) -> bytes:
    """Return the pickle of a value.

    Args:
        value: What is pickled.
        for_jobs: Whether it is for a job, or a process of one, and not for the user's program.

    >>> cloudpickle.loads(dumps(lambda: 5))()
    5
    """
    pickler = Pickler()
    pickler.for_jobs = for_jobs
    return pickled(pickler, value)[0]


def pickled(pickler: Pickler, value: object) -> tuple[bytes, Pickler]:
    """Pickle a value, and try again without extras, or deeper, where that fails.

    Returns:
        The pickle, and the pickler that made it.
    """
    try:
        return pickler.pickled(value), pickler
    except Exception as error:
        if _is_too_deep(error):
            return _pickled_deep(type(pickler), value)
        if not pickler.has_extras:
            raise
        plain = type(pickler)(extras=False)
        try:
            return plain.pickled(value), plain
        except Exception as second:  # noqa: BLE001 -- the first says more
            if _is_too_deep(second):
                return _pickled_deep(type(pickler), value)
            raise error from error.__cause__


class _Written(list[bytes]):
    write = list.append


def pickled_pieces(value: object) -> list[bytes]:
    """Pickle a value of plain types without a copy of the long texts and bytes in it.

    `pickle.dumps` copies them twice: into its buffer, and out of it.

    >>> pickle.loads(b"".join(pickled_pieces(("a", 5))))
    ('a', 5)
    """
    written = _Written()
    pickle.Pickler(written, PROTOCOL).dump(value)
    return written


def _is_too_deep(error: BaseException) -> bool:
    return isinstance(error, RecursionError) or isinstance(error.__cause__, RecursionError)


def _pickled_deep(kind: type[Pickler], value: object) -> tuple[bytes, Pickler]:
    """Pickle a value that is nested deep, by the pickler in Python, which needs no C stack."""
    pickler, sink = kind(extras=False), io.BytesIO()
    deep: Any = pickle._Pickler(sink, PROTOCOL)  # noqa: SLF001
    deep.dispatch_table = dict(cloudpickle.Pickler.dispatch_table)
    deep.reducer_override = pickler.reducer_override
    with _deep:
        frames = sys.getrecursionlimit()
        sys.setrecursionlimit(max(frames, _DEEP_FRAMES))
        try:
            deep.dump(value)
        finally:
            sys.setrecursionlimit(frames)
    return sink.getvalue(), pickler


def _by_default(context: PicklingContext, value: Any) -> Any:
    # An object that pickles as the name of a global leans on a module like its class does.
    context.modules.add(type(value).__module__)
    return NotImplemented


def _argument(context: PicklingContext, value: Any) -> Any:
    context.modules.add(type(value).__module__)
    return value.__picloud_argument__() if context.for_jobs else NotImplemented


def _stream(context: PicklingContext, value: Any) -> Any:
    del context
    return file_objects.reduced(value)


def _weak_reference(context: PicklingContext, value: Any) -> Any:
    from picloud_pickle.live import weak_references  # noqa: PLC0415 - few programs send one

    return weak_references.reduced(context, value)


def _context_manager(context: PicklingContext, value: Any) -> Any:
    from picloud_pickle.instances import context_managers  # noqa: PLC0415 - as above

    return context_managers.reduced(context, value)


def _library_object(context: PicklingContext, value: Any) -> Any:
    from picloud_pickle.instances import library_objects  # noqa: PLC0415 - as above

    return library_objects.reduced(context, value)


def _process_object(context: PicklingContext, value: Any) -> Any:
    from picloud_pickle.live import process_objects  # noqa: PLC0415 - as above

    return process_objects.reduced(context, value)


_reducers: dict[type, Reducer] = {
    type: classes.reduced,
    object: singletons.plain_object_reduced,
    ModuleType: builtin_values.module_reduced,
    type(Token.MISSING): builtin_values.no_token_value_reduced,
    ContextVar: builtin_values.context_variable_reduced,
    MethodType: builtin_values.method_reduced,
    memoryview: builtin_values.memoryview_reduced,
    CodeType: source_lines.code_reduced,
    ClassMethodDescriptorType: builtin_values.class_method_reduced,
    type(functools.lru_cache(len)): wrappers.cache_reduced,
    type(functools.cmp_to_key(operator.sub)): builtin_values.key_reduced,
    weakref.ReferenceType: _weak_reference,
    weakref.WeakMethod: _weak_reference,
    weakref.finalize: _weak_reference,
    weakref.ProxyType: _weak_reference,
    weakref.CallableProxyType: _weak_reference,
    functools.singledispatchmethod: wrappers.method_dispatcher_reduced,
    **dict.fromkeys((property, classmethod, staticmethod), _by_default),
    **typing_objects.REDUCERS,
}
"""How instances of each class are reduced; grows as classes that modules have are met."""

_INHERITED: Final[tuple[tuple[type, Reducer], ...]] = (
    (type, classes.reduced),
    (_STREAM, _stream),
    (ModuleType, builtin_values.module_reduced),
    (BaseException, builtin_values.exception_reduced),
    (WeakSet, builtin_values.weak_set_reduced),
    (WeakKeyDictionary, builtin_values.weak_dict_reduced),
    (WeakValueDictionary, builtin_values.weak_dict_reduced),
    (threading.local, _process_object),
    (functools.cached_property, wrappers.cached_property_reduced),
    (functools.partialmethod, wrappers.partial_method_reduced),
    (property, wrappers.property_reduced),
    (classmethod, wrappers.method_reduced),
    (staticmethod, wrappers.method_reduced),
)
"""How instances of derived classes are reduced."""

_BY_NAME: Final[dict[str, Reducer]] = {
    "argparse.ArgumentParser": singletons.parser_reduced,
    "argparse.Action": singletons.parser_reduced,
    "optparse.Option": singletons.parser_reduced,
    "optparse.OptionContainer": singletons.parser_reduced,
    "logging.Handler": _process_object,
    "contextlib._GeneratorContextManagerBase": _context_manager,
    "pydantic._internal._validate_call.ValidateCallWrapper": typing_objects.validated_reduced,
    "numpy.ufunc": builtin_values.ufunc_reduced,
    "_struct.Struct": _library_object,
    "json.decoder.JSONDecoder": _library_object,
}
"""How instances of classes that are rarely imported are reduced, and of those derived from them."""


def _reducer(kind: type) -> Reducer:
    named = by_reference(kind)
    reducer = _sought(kind, named=named)
    # A class of the program's must be free to go away.
    if named or not kind.__flags__ & rebuild.HEAP_TYPE:
        _reducers[kind] = reducer
    return reducer


def _sought(kind: type, *, named: bool) -> Reducer:
    if hasattr(kind, "__picloud_argument__"):
        return _argument
    for base, reducer in _INHERITED:
        if issubclass(kind, base):
            return reducer
    for base in kind.__mro__:
        by_name = _BY_NAME.get(f"{base.__module__}.{base.__qualname__}")
        if by_name is not None:
            return by_name
    if not named and kind.__flags__ & rebuild.HEAP_TYPE:
        return singletons.program_object_reduced
    if kind in copyreg.dispatch_table or kind in cloudpickle.Pickler.dispatch_table:
        return wrappers.by_programs_reducer if wrappers.is_programs_reducer(kind) else _by_default
    return singletons.global_reducer(kind) or singletons.named_reducer(kind) or _by_default
