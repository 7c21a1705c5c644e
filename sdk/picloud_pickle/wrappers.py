"""Wrappers of functions: caches, dispatchers and descriptors."""

from __future__ import annotations

import copyreg
import functools
import sys
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from picloud_pickle import rebuild
from picloud_pickle.reference import MAIN, by_reference, is_dynamic

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_pickle.patches.search import Place
    from picloud_pickle.reference import PicklingContext

_DISPATCHER: Final = next(
    const
    for const in functools.singledispatch.__code__.co_consts
    if isinstance(const, CodeType) and const.co_name == "wrapper"
)
"""The code of every function that `functools.singledispatch` makes."""
_OF_DISPATCHER: Final = frozenset(
    ("register", "dispatch", "registry", "_clear_cache", "__wrapped__")
)
_NOT_CARRIED: Final = frozenset(("lock", "_method_cache"))
"""Parts that each process makes for itself."""


class _Contents(NamedTuple):
    """The dispatchers of a module, the places where the program has put something, and from where.

    `registrars` are modules of the program that register something with it when they are imported.
    """

    dispatchers: tuple[Any, ...]
    places: tuple[Place, ...]
    registrars: tuple[str, ...]


_NOTHING: Final = _Contents((), (), ())
_contents: dict[str, tuple[int, int, _Contents]] = {}
"""Those of each module, after how many names it and the main program had when they were sought."""


def cache_reduced(context: PicklingContext, cache: Any) -> Any:
    """Return the reduction of a function under `functools.lru_cache`."""
    context.modules.add(cache.__module__)
    if by_reference(cache, getattr(cache, "__qualname__", None)):
        return NotImplemented
    parameters = cache.cache_parameters()
    arguments = cache.__wrapped__, parameters["maxsize"], parameters["typed"], _token(cache)
    return rebuild.make_cache, arguments, dict(cache.__dict__), None, None, rebuild.fill_cache


def _token(wrapper: Any) -> str | None:
    """Return the token of a wrapped function that the main program has by its name."""
    name = wrapper.__name__
    at_top = name == wrapper.__qualname__ and wrapper.__module__ in MAIN
    return rebuild.function_token(wrapper, name) if at_top else None


def cached_property_reduced(context: PicklingContext, value: Any) -> Any:
    """Return the reduction of a `functools.cached_property`, which on Python 3.11 holds a lock."""
    context.modules.add(type(value).__module__)
    return rebuild.make_cached_property, (type(value), value.func), _carried(value)


def method_dispatcher_reduced(context: PicklingContext, value: Any) -> Any:
    """Return the reduction of a `functools.singledispatchmethod`."""
    context.modules.add(type(value).__module__)
    return type(value), (value.func,), _carried(value)


def partial_method_reduced(context: PicklingContext, value: Any) -> Any:
    """Return the reduction of a `functools.partialmethod`; Python 3.14 cannot load its own one."""
    context.modules.add(type(value).__module__)
    arguments = type(value), (value.func, *value.args), value.keywords
    return copyreg.__newobj_ex__, arguments, _carried(value)  # type: ignore[attr-defined]


def property_reduced(context: PicklingContext, value: Any) -> Any:
    """Return the reduction of a property of a class derived from `property`."""
    kind = type(value)
    context.modules.add(kind.__module__)
    arguments = value.fget, value.fset, value.fdel, value.__doc__
    return rebuild.make_descriptor, (kind, property, arguments), _carried(value)


def method_reduced(context: PicklingContext, value: Any) -> Any:
    """Return the reduction of a method of a class derived from `classmethod` or `staticmethod`."""
    kind = type(value)
    context.modules.add(kind.__module__)
    base = classmethod if issubclass(kind, classmethod) else staticmethod
    return rebuild.make_descriptor, (kind, base, (value.__func__,)), _carried(value)


def _carried(value: Any) -> dict[str, Any]:
    scope = getattr(value, "__dict__", {})
    return {name: each for name, each in scope.items() if name not in _NOT_CARRIED}


def is_dispatcher(function: FunctionType) -> bool:
    """Whether `functools.singledispatch` made a function.

    >>> is_dispatcher(functools.singledispatch(print)), is_dispatcher(is_dispatcher)
    (True, False)
    """
    return function.__code__ is _DISPATCHER


def dispatcher_reduced(function: Any) -> Any:
    """Return the reduction of a dispatcher that travels by value."""
    own = {name: each for name, each in vars(function).items() if name not in _OF_DISPATCHER}
    names = ("__name__", "__qualname__", "__module__", "__doc__")
    own |= {name: getattr(function, name) for name in names}
    state = dict(function.registry), own
    made = function.__wrapped__, _token(function)
    return rebuild.make_dispatcher, made, state, None, None, rebuild.fill_dispatcher


class _Attribute:
    """Stands in a pickle for what a module has by a name, with patches that go along with it."""

    def __init__(
        self, module: str, name: str, patches: Sequence[tuple[_Attribute, Any, Any]] = ()
    ) -> None:
        self._location = module, name
        self._patches = patches

    def __reduce__(self) -> Any:
        if self._patches:
            return rebuild.patched, (_Attribute(*self._location), self._patches)
        return rebuild.module_attribute, self._location


class Reduced:
    """Stands in a pickle for an object, by its reduction."""

    def __init__(self, reduction: tuple[Any, ...]) -> None:
        self._reduction = reduction

    def __reduce__(self) -> Any:
        return self._reduction


def is_programs_reducer(kind: type) -> bool:
    """Whether the main program has registered a reducer with `copyreg` for a module's class."""
    return getattr(copyreg.dispatch_table.get(kind), "__module__", None) in MAIN


def by_programs_reducer(context: PicklingContext, value: Any) -> Any:
    """Return the reduction by such a reducer; the reducer travels, too, so that jobs can use it."""
    kind = type(value)
    context.modules.add(kind.__module__)
    reduce = copyreg.dispatch_table.get(kind)
    reduction = NotImplemented if reduce is None else reduce(value)
    if not (context.for_jobs and isinstance(reduction, tuple) and len(reduction) == 2):  # noqa: PLR2004 -- without a state
        return reduction
    patch = _Attribute("copyreg", "dispatch_table"), kind, reduce
    return rebuild.patched, (Reduced(reduction), [patch])


def by_name(context: PicklingContext, module: str, name: str = "") -> Any:
    """Return the reduction of what a module has by a name, or of the module itself.

    Returns:
        NotImplemented where Python's own way does: unless the main program, or a module that it
        imports, has registered something with a dispatcher of that module, or put something into
        its classes and tables.
    """
    context.modules.add(module)
    if module in context.checked_modules:
        return NotImplemented
    context.checked_modules.add(module)
    contents = _contents_of(module)
    if contents is _NOTHING:
        return NotImplemented
    registrations, importers = _registrations(module, contents.dispatchers)
    patches: list[tuple[_Attribute, Any, Any]] = []
    if contents.places and context.for_jobs and context.extras:
        patches = _patches(contents.places)
        context.has_extras = True
    value: Any = _Attribute(module, name, patches)
    if registrations or importers:
        context.modules |= importers
        imports = [_Attribute(each, "") for each in sorted(importers)]
        value = Reduced((rebuild.registered, (value, registrations, imports)))
    elif not (patches or contents.registrars):
        return NotImplemented
    return _after_imports(context, contents.registrars, value).__reduce__()


def _registrations(
    module: str, dispatchers: tuple[Any, ...]
) -> tuple[list[tuple[_Attribute, Any]], set[str]]:
    """Return what the program has registered with dispatchers, and which modules have done so."""
    registrations: list[tuple[_Attribute, Any]] = []
    importers: set[str] = set()
    for dispatcher in dispatchers:
        implementations = {}
        for kind, implementation in dispatcher.registry.items():
            origin = str(getattr(implementation, "__module__", None))
            if origin in MAIN or is_dynamic(sys.modules.get(origin)):
                implementations[kind] = implementation
            elif origin in sys.modules and origin not in (module, "builtins"):
                importers.add(origin)
        if implementations:
            attribute = _Attribute(dispatcher.__module__, dispatcher.__qualname__)
            registrations.append((attribute, implementations))
    return registrations, importers


def _after_imports(context: PicklingContext, modules: tuple[str, ...], value: Any) -> Any:
    """Return what stands for a value, for which some modules are imported before it is loaded."""
    if not modules:
        return value
    from picloud_pickle.patches import registries  # noqa: PLC0415 - not for `import cloud`

    context.modules.update(modules)
    imports = [_Attribute(each, "") for each in modules]
    return Reduced((registries.after_imports, (imports, value)))


def _patches(places: tuple[Place, ...]) -> list[tuple[_Attribute, Any, Any]]:
    from picloud_pickle.patches import search  # noqa: PLC0415 - as below

    return [
        (_Attribute(place.module, place.path), place.name, value)
        for place in places
        if (value := search.content(place)) is not None
    ]


def _contents_of(name: str) -> _Contents:
    """Return what a module holds of those; search again if it or the main program has grown."""
    modules = sys.modules
    try:
        scope = modules[name].__dict__
    except (KeyError, AttributeError):
        return _NOTHING
    of_main = len(modules["__main__"].__dict__)
    cached = _contents.get(name)
    if cached is None or cached[0] != len(scope) or cached[1] != of_main:
        from picloud_pickle.patches import search  # noqa: PLC0415 - not for `import cloud`

        # Inline, as it is asked of all that all modules hold.
        dispatchers = tuple(
            [
                each
                for each in scope.values()
                if type(each) is FunctionType and each.__code__ is _DISPATCHER
            ]
        )
        contents = _Contents(dispatchers, *search.contents(name, scope))
        cached = len(scope), of_main, contents if any(contents) else _NOTHING
        _contents[name] = cached
    return cached[2]
