"""What pickles call when they are loaded, by these names: stored batches hold them."""

from __future__ import annotations

import contextlib
import functools
import sys
import types
import typing
from collections import OrderedDict
from contextvars import ContextVar
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, cast
from uuid import uuid4
from weakref import WeakKeyDictionary, WeakSet, WeakValueDictionary

from cloudpickle.cloudpickle import (
    _DYNAMIC_CLASS_TRACKER_BY_ID,
    _function_setstate,
    _lookup_class_or_track,
    _make_function,
)

from picloud_pickle import source_lines
from picloud_pickle.reference import brought, note_brought, note_loaded, note_patches

if TYPE_CHECKING:
    from collections.abc import Callable

_KEPT_OBJECTS: Final = 10_000
"""How many plain objects keep their identity."""
HEAP_TYPE: Final = 1 << 9
"""Python's own flag of classes that a `class` statement made."""
_FILLED_BY_INIT: Final = (list, dict, set, bytearray)
_function_tokens: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
_home_functions: WeakValueDictionary[str, Any] = WeakValueDictionary()
"""Functions of the main program of this process, by their tokens."""
_objects: OrderedDict[str, object] = OrderedDict()
_tokens: dict[int, str] = {}
_singletons: dict[tuple[type, str], object] = {}
_singleton_names: dict[int, str] = {}
_module_copies: Final[WeakSet[types.ModuleType]] = WeakSet()
"""Modules that loads have made."""


def function_token(function: Any, name: str) -> str | None:
    """Return the token of a function, cached or not, that the main program has by a name."""
    token = _function_tokens.get(function)
    if token is None and vars(sys.modules[function.__module__]).get(name) is function:
        token = _function_tokens[function] = uuid4().hex
        _home_functions[token] = function
    return token


def make_function(
    token: str, code: types.CodeType, scope: dict[str, Any], closure: tuple[Any, ...] | None
) -> types.FunctionType:
    """Make a function of a main program, or return it where it is at home."""
    function: types.FunctionType | None = _known_function(token)
    if function is None:
        function = _make_function(code, scope, None, None, closure)
        _function_tokens[function] = token
    return function


def _known_function(token: str) -> Any:
    """Return the function with a token, if it is defined here or was loaded for this job before."""
    return _home_functions.get(token) or brought(token)


def _begin_to_fill(function: Any) -> bool:
    """Whether a function is to be filled, as it is new here; later loads of the job take it."""
    token = _function_tokens.get(function)
    if token is None:
        return True
    if _known_function(token) is function:
        return False
    note_brought(token, function)
    return True


def fill_function(function: Any, state: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """Give a function its globals, closure and attributes, unless it has them."""
    if not _begin_to_fill(function):
        return
    used = state[1].pop("_annotation_names")
    source = state[1].pop("_source", None)
    if source is not None:
        source_lines.remember(*source)
    _function_setstate(function, state)
    note_loaded(function.__name__, function, used, certain=function in _function_tokens)


def make_module(name: str, token: str) -> types.ModuleType:
    """Make a module that a program made itself, or return the one that is known by its token."""
    module: types.ModuleType | None = _DYNAMIC_CLASS_TRACKER_BY_ID.get(token)
    if module is None:
        module = _lookup_class_or_track(token, types.ModuleType(name))
        _module_copies.add(module)
    if module in _module_copies and sys.modules.get(name) in (None, *_module_copies):
        sys.modules[name] = module
        _note_patches([(sys.modules, name, module, True)])
    return module


def fill_module(module: types.ModuleType, scope: dict[str, Any]) -> None:
    """Give a module what it held at its sender, unless it is at home here."""
    if module in _module_copies:
        vars(module).update(scope)


def fill_object(value: Any, state: Any) -> None:
    """Give an object its attributes, as pickle does it for one without `__setstate__`."""
    scope, in_slots = state if isinstance(state, tuple) else (state, None)
    if scope:
        object.__getattribute__(value, "__dict__").update(scope)
    for name, each in (in_slots or {}).items():
        object.__setattr__(value, name, each)


def make_context_variable(name: str, token: str, default: tuple[Any, ...]) -> ContextVar[Any]:
    """Return a context variable, or the one that is known by its token.

    Args:
        name: Its name.
        token: What it is known by.
        default: Its default, if it has one.
    """
    value: ContextVar[Any] = known_object(
        token, lambda: ContextVar(name, default=default[0]) if default else ContextVar(name)
    )
    return value


def known_object(token: str, make: Callable[[], Any]) -> Any:
    """Return the object that has a token, or one that is made and has it from now on."""
    value = _objects.get(token)
    if value is None:
        value = make()
        _remember(token, value)
    return value


def token_of(value: object) -> str:
    """Return the token by which other processes know a plain object."""
    token = _tokens.get(id(value))
    if token is None:
        token = uuid4().hex
        _remember(token, value)
    return token


def make_object(token: str) -> object:
    """Return the plain object that has a token."""
    return cast("object", known_object(token, object))


def _remember(token: str, value: object) -> None:
    _objects[token], _tokens[id(value)] = value, token
    if len(_objects) > _KEPT_OBJECTS:
        del _tokens[id(_objects.popitem(last=False)[1])]


def name_singleton(name: str, value: object) -> None:
    """Remember an object that its class pickles as a name of the main program."""
    _singletons[type(value), name] = value
    _singleton_names[id(value)] = name


def singleton_name(value: object) -> str | None:
    """Return the name by which other processes know an object of a main program."""
    return _singleton_names.get(id(value))


def make_singleton(kind: type, name: str, content: tuple[Any, ...]) -> object:
    """Return the one object of a class that has a name in the main program.

    Args:
        kind: Its class.
        name: Its name there.
        content: What the built-in type under the class is made of.
    """
    value = _singletons.get((kind, name))
    if value is None:
        base = builtin_base(kind)
        value = base.__new__(kind, *content)
        if base in _FILLED_BY_INIT:
            base.__init__(value, *content)
        name_singleton(name, value)
        note_loaded(name, value, {})
    return value


def fill_singleton(value: Any, state: dict[str, Any]) -> None:
    """Give such an object its attributes, unless it has some."""
    for name, each in state.items():
        if not hasattr(value, name):
            object.__setattr__(value, name, each)


def make_method(owner: Any, name: str, function: Any) -> Any:
    """Return the method that an object has by a name; bind it while the class is being loaded."""
    try:
        return getattr(owner, name)
    except AttributeError:
        return types.MethodType(function, owner)


def make_exception(kind: Any, arguments: tuple[Any, ...]) -> BaseException:
    """Make an exception without its class's own `__init__`, which may want other arguments."""
    base = builtin_base(kind)
    error: BaseException = base.__new__(kind, *arguments)
    base.__init__(error, *arguments)
    return error


def builtin_base(kind: type) -> Any:
    """Return the first class above one that no `class` statement made."""
    return next(base for base in kind.__mro__ if not base.__flags__ & HEAP_TYPE)


def make_derived(kind: Any, base: Any, arguments: tuple[Any, ...], calls: bool) -> Any:
    """Make an object as the base does that says how instances of its class are pickled.

    Args:
        kind: Its class.
        base: That base.
        arguments: What the base says that the class is called with.
        calls: Whether to call it, and use the base only if its own constructors refuse these.
    """
    if calls:
        with contextlib.suppress(Exception):
            return kind(*arguments)
    plain: Any = object
    value = base.__new__(kind, *(() if base.__new__ is plain.__new__ else arguments))
    if base.__init__ is not plain.__init__:
        base.__init__(value, *arguments)
    return value


def make_tuple(kind: Any, items: tuple[Any, ...]) -> Any:
    """Make a tuple of a class that has a `__new__` of its own, without that."""
    return tuple.__new__(kind, items)


def make_cache(
    function: Callable[..., Any], maxsize: int | None, typed: bool, token: str | None = None
) -> Any:
    """Return the `functools.lru_cache` function of a token, or a new one with an empty cache."""
    return _wrapper(functools.lru_cache(maxsize, typed), function, token)


def _wrapper(wrap: Callable[..., Any], function: Callable[..., Any], token: str | None) -> Any:
    made: Any = token and _known_function(token)
    if not made:
        made = wrap(function)
        if token:
            _function_tokens[made] = token
    return made


def fill_cache(cache: Any, attributes: dict[str, Any]) -> None:
    """Give a cached function its attributes, unless it has them."""
    if _begin_to_fill(cache):
        cache.__dict__.update(attributes)
        note_loaded(cache.__name__, cache, {}, certain=cache in _function_tokens)


def make_cached_property(kind: Any, function: Callable[..., Any]) -> Any:
    """Return a `functools.cached_property`, or one of a class derived from it."""
    made = kind.__new__(kind)
    functools.cached_property.__init__(made, function)
    return made


def make_descriptor(kind: Any, base: Any, arguments: tuple[Any, ...]) -> Any:
    """Return a property, class method or static method of a class derived from these."""
    made = kind.__new__(kind, *arguments)
    base.__init__(made, *arguments)
    return made


def make_dispatcher(function: Callable[..., Any], token: str | None = None) -> Any:
    """Return the `functools.singledispatch` function of a token, or a new one with a default."""
    return _wrapper(functools.singledispatch, function, token)


def fill_dispatcher(dispatcher: Any, state: tuple[dict[type, Any], dict[str, Any]]) -> None:
    """Register the implementations of a dispatcher, unless it has them."""
    if not _begin_to_fill(dispatcher):
        return
    implementations, attributes = state
    for kind, implementation in implementations.items():
        if dispatcher.registry.get(kind) is not implementation:
            dispatcher.register(kind, implementation)
    dispatcher.__dict__.update(attributes)
    if dispatcher in _function_tokens:
        note_loaded(dispatcher.__name__, dispatcher, {})


def module_attribute(module: str, name: str) -> Any:
    """Return what a module has by a dotted name; the module itself for an empty one."""
    value: Any = import_module(module)
    for part in filter(None, name.split(".")):
        value = getattr(value, part)
    return value


def package(name: str, submodules: list[str]) -> types.ModuleType:
    """Return a package with those submodules that its sender had and this process can import."""
    for each in submodules:
        with contextlib.suppress(ImportError):
            import_module(each)
    return import_module(name)


def registered(value: Any, registrations: Any, _imported: Any) -> Any:
    """Register with the dispatchers of modules what a main program has registered there.

    Args:
        value: What is returned.
        registrations: Each dispatcher with its implementations by class.
        _imported: Modules that register something themselves when they are imported.
    """
    for dispatcher, implementations in registrations:
        fill_dispatcher(dispatcher, (implementations, {}))
    return value


def patched(value: Any, patches: list[tuple[Any, ...]]) -> Any:
    """Take note of what a main program has put into a module.

    Args:
        value: What is returned.
        patches: What `patches.applied.Patch` is made of: classes, tables, modules, lists or context
            variables, each with a name in it and the value there.
    """
    _note_patches(patches)
    return value


def _note_patches(patches: list[tuple[Any, ...]]) -> None:
    from picloud_pickle.patches.applied import Patch  # noqa: PLC0415 - for jobs only

    note_patches(Patch(*patch) for patch in patches)


def make_new_type(name: str, qualname: str, module: str, supertype: Any, token: str) -> Any:
    """Return a `typing.NewType`, or the one that is known by its token."""
    made: Any = _DYNAMIC_CLASS_TRACKER_BY_ID.get(token)
    if made is None:
        factory: Any = typing.NewType
        made = factory(name, supertype)
        made.__qualname__, made.__module__ = qualname, module
        made = _lookup_class_or_track(token, made)
    return made


def make_type_parameter(
    factory: Any, arguments: tuple[Any, ...], keywords: dict[str, Any], module: str, token: str
) -> Any:
    """Return a type variable of any kind, or the one that is known by its token."""
    made: Any = _DYNAMIC_CLASS_TRACKER_BY_ID.get(token)
    if made is None:
        made = factory(*arguments, **keywords)
        if getattr(made, "__module__", None) != module:
            made.__module__ = module
        made = _lookup_class_or_track(token, made)
    return made


def make_weak_set(kind: Any, items: list[Any]) -> Any:
    """Return a WeakSet that keeps the items it arrived with alive."""
    made = kind(items)
    vars(made)["_held"] = items
    return made


def make_weak_dict(kind: Any, items: list[tuple[Any, Any]]) -> Any:
    """Return a weak dictionary that keeps the items it arrived with alive."""
    made = kind(items)
    vars(made)["_held"] = items
    return made


def make_memoryview(content: bytes | bytearray, format_: str, shape: tuple[int, ...]) -> memoryview:
    """Return a view of bytes, in the format and shape it had."""
    return memoryview(content).cast(format_, shape)  # type: ignore[call-overload, no-any-return]


def class_attribute(kind: type, name: str) -> Any:
    """Return an attribute of a class itself, as its dictionary has it."""
    return vars(kind)[name]


def make_ufunc(function: Callable[..., Any], counts: tuple[int, int], identity: Any) -> Any:
    """Return a universal function that `numpy.frompyfunc` makes of a Python function."""
    import numpy as np  # noqa: PLC0415 -- only where one travels

    return np.frompyfunc(function, *counts, identity=identity)
