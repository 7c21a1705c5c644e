"""Objects of which there is one: they travel by name, so that `is` holds on the other side."""

from __future__ import annotations

import copyreg
import sys
from contextvars import ContextVar
from enum import Enum
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

from picloud_pickle import rebuild
from picloud_pickle.reference import (
    MAIN,
    PLAIN,
    by_reference,
    is_dynamic,
    is_importable,
    lacks_setstate,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from picloud_pickle.reference import PicklingContext

_GLOBALS: Final = {
    "os._Environ": (("os", "environ"), ("os", "environb")),
    "random.Random": (("random", "_inst"),),
    "random.SystemRandom": (("secrets", "_sysrand"),),
    "numpy.random.mtrand.RandomState": (("numpy.random.mtrand", "_rand"),),
    "torch._C.Generator": (("torch", "default_generator"),),
}
"""Objects of modules that hold a state of the process, as random numbers do."""
_CONSTANTS: Final = (
    ("argparse", "SUPPRESS"),
    ("optparse", "NO_DEFAULT"),
    ("optparse", "SUPPRESS_HELP"),
    ("optparse", "SUPPRESS_USAGE"),
)
"""Texts and tuples of parsers that they compare by identity."""
_CONTAINERS: Final = frozenset((list, tuple, set, frozenset, dict))
_REDUCTIONS: Final = frozenset(("__reduce__", "__reduce_ex__"))
_STATES: Final = frozenset(("__getstate__", "__setstate__"))
_PLAIN_OBJECTS: dict[int, tuple[str, str]] = {}
"""Modules and names of plain objects, by their ids."""
_sought: list[int] = []


def global_reducer(kind: type) -> Callable[[PicklingContext, Any], Any] | None:
    """Return the reducer of a class whose instances may be global objects of a module, or None."""
    named = _GLOBALS.get(f"{kind.__module__}.{kind.__qualname__}")
    if kind.__module__ == "sys":  # `version_info`, `float_info`: their classes have no names
        named = (("sys", kind.__qualname__),)
    if named is None:
        names = _stateless_globals(kind)
        if not names:
            return None
        locations = {id(value): (kind.__module__, name) for name, value in names.items()}
    else:
        locations = {}

    def reduced(context: PicklingContext, value: Any) -> Any:
        context.modules.add(kind.__module__)
        for module, name in named or ():
            if value is getattr(sys.modules.get(module), name, None):
                return rebuild.module_attribute, (module, name)
        location = locations.get(id(value))
        if location is not None and not _state(value):
            return rebuild.module_attribute, location
        if kind.__qualname__ == "SystemRandom":
            return kind, ()
        return NotImplemented

    return reduced


def _stateless_globals(kind: type) -> dict[str, Any]:
    """Return the instances of a class that its own module holds, if they can only be markers."""
    ordinary = all(base is object or base.__flags__ & rebuild.HEAP_TYPE for base in kind.__mro__)
    if not ordinary or _has_own_reduction(kind):
        return {}
    scope = getattr(sys.modules.get(kind.__module__), "__dict__", {})
    return {
        name: value
        for name, value in list(scope.items())
        if type(value) is kind and not _state(value)
    }


def _state(value: Any) -> dict[str, Any]:
    """Return the attributes of an object, those in slots as well."""
    state = dict(getattr(value, "__dict__", {}))
    for name in copyreg._slotnames(type(value)):  # type: ignore[attr-defined]  # noqa: SLF001
        if hasattr(value, name):
            state[name] = getattr(value, name)
    return state


def _has_own_reduction(kind: Any) -> bool:
    ordinary: Any = object
    return (
        kind.__reduce_ex__ is not ordinary.__reduce_ex__
        or kind.__reduce__ is not ordinary.__reduce__
    )


def plain_object_reduced(context: PicklingContext, value: object) -> Any:
    """Return the reduction of an `object()`, which has nothing but its identity."""
    location = located(value)
    if location is None:
        return rebuild.make_object, (rebuild.token_of(value),)
    context.modules.add(location[0])
    return rebuild.module_attribute, location


def located(value: object) -> tuple[str, str] | None:
    """Return the module and name of an `object()` or context variable that a module holds."""
    if _sought != [len(sys.modules)]:
        _sought[:] = [len(sys.modules)]
        _PLAIN_OBJECTS.clear()
        for each_name, module in list(sys.modules.items()):
            scope = getattr(module, "__dict__", None)
            if each_name not in MAIN and scope and is_importable(module):
                for name, each in list(scope.items()):
                    if type(each) is object or type(each) is ContextVar:
                        _PLAIN_OBJECTS.setdefault(id(each), (each_name, name))
    location = _PLAIN_OBJECTS.get(id(value))
    if location is not None:
        holder, name = location
        if getattr(sys.modules.get(holder), name, None) is not value:
            return None
    return location


def program_object_reduced(context: PicklingContext, value: Any) -> Any:
    """Return the reduction of an instance of a class that travels by value."""
    kind = type(value)
    context.modules.add(kind.__module__)
    if kind in copyreg.dispatch_table:
        return NotImplemented
    if isinstance(value, Enum) and kind.__members__.get(value.name) is value:
        return getattr, (kind, value.name)  # what it is a member for may equal nothing else
    if _has_own_reduction(kind):
        return _own_reduction(value)
    name = rebuild.singleton_name(value) or _marker_name(value)
    if name is not None:
        return _singleton(value, name)
    if issubclass(kind, tuple) and _is_made_by_itself(kind):
        return rebuild.make_tuple, (kind, tuple(value)), getattr(value, "__dict__", None) or None
    return (_unusual_reduced if _may_be_unusual(kind, value) else _usual_reduced)(kind, value)


def _usual_reduced(kind: Any, value: Any) -> Any:
    return _without_setstate(value) if lacks_setstate(kind) else NotImplemented


def _unusual_reduced(kind: Any, value: Any) -> Any:
    from picloud_pickle.instances import unusual  # noqa: PLC0415 - few classes are

    reduction = unusual.reduced(value)
    return _usual_reduced(kind, value) if reduction is NotImplemented else reduction


def _may_be_unusual(kind: Any, value: Any) -> bool:
    """Whether Python's own way may make an instance wrong; `unusual` finds out."""
    if type(kind.__new__) is FunctionType or value.__class__ is not kind:
        return True
    scope = getattr(value, "__dict__", None)
    if scope is value:
        return True
    if type(kind.__hash__) is not FunctionType or not scope:
        return False
    # What is hashed while its attributes are loaded, as a node in sets of its neighbours.
    for each in scope.values():
        of = type(each)
        if of not in PLAIN and (of.__flags__ & rebuild.HEAP_TYPE or not _holds_plain(each, of)):
            return True
    return False


def _holds_plain(value: Any, kind: type) -> bool:
    """Whether what is in a container cannot lead back to an object that holds it."""
    if kind is dict and not PLAIN.issuperset(map(type, value.values())):
        return False
    return kind not in _CONTAINERS or PLAIN.issuperset(map(type, value))


def named_reducer(kind: Any) -> Callable[[PicklingContext, Any], Any] | None:
    """Return the reducer of a module's class whose instances need one, else None."""
    if isinstance(kind.__reduce__, FunctionType) and not issubclass(kind, Enum):
        return _named_object_reduced
    if _has_own_reduction(kind):
        return None
    if lacks_setstate(kind):
        return _lazy_object_reduced
    if issubclass(kind, dict):
        return _dict_reduced
    return _unusual_object_reduced if _needs_arguments(kind) else None


def _dict_reduced(context: PicklingContext, value: Any) -> Any:
    """Reduce a dictionary of a derived class, which may be its own attributes."""
    if getattr(value, "__dict__", None) is value:
        return _unusual_object_reduced(context, value)
    context.modules.add(type(value).__module__)
    return NotImplemented


def _needs_arguments(kind: Any) -> bool:
    """Whether a class cannot be made without arguments, and does not say which it takes."""
    new = kind.__new__
    if type(new) is not FunctionType or type(getattr(kind, "__getnewargs__", None)) is FunctionType:
        return False
    return new.__code__.co_argcount - len(new.__defaults__ or ()) > 1


def _unusual_object_reduced(context: PicklingContext, value: Any) -> Any:
    context.modules.add(type(value).__module__)
    return _unusual_reduced(type(value), value)


def _named_object_reduced(context: PicklingContext, value: Any) -> Any:
    """Reduce an object that may have a name in the main program."""
    context.modules.add(type(value).__module__)
    reduction = value.__reduce_ex__(5)
    of_program = getattr(value, "__module__", None) in MAIN or rebuild.singleton_name(value)
    return _singleton(value, reduction) if isinstance(reduction, str) and of_program else reduction


def _lazy_object_reduced(context: PicklingContext, value: Any) -> Any:
    context.modules.add(type(value).__module__)
    return _without_setstate(value)


def _own_reduction(value: Any) -> Any:
    kind = type(value)
    reduction = value.__reduce_ex__(5)
    if not isinstance(reduction, str):
        name = _sought_name(value, reduction[0])
        return _by_base(value, reduction) if name is None else _singleton(value, name)
    if isinstance(value, Enum):
        return getattr, (kind, reduction)
    # Of any other module it is a name that the other side can import.
    of_program = kind.__module__ in MAIN or is_dynamic(sys.modules.get(kind.__module__))
    return _singleton(value, reduction) if of_program else reduction


def _by_base(value: Any, reduction: Any) -> Any:
    """Return a reduction that works for a class with an `__init__` or `__new__` of its own as well.

    A base says that its class is called with some arguments, which they may not take, or take for
    others.
    """
    kind = type(value)
    base = next(each for each in kind.__mro__ if not _REDUCTIONS.isdisjoint(vars(each)))
    own = kind.__mro__[: kind.__mro__.index(base)]
    constructors = [vars(each).get(name) for each in own for name in ("__init__", "__new__")]
    if reduction[0] is not kind or not any(constructors) or not by_reference(base):
        return reduction
    state = reduction[2] if len(reduction) > 2 else None  # noqa: PLR2004 -- with a state
    state = state or getattr(value, "__dict__", None) or None
    # A class that says what its state is may make the rest of it in its `__init__`.
    calls = state is None or any(not _STATES.isdisjoint(vars(each)) for each in own)
    made = kind, base, reduction[1], calls
    return (rebuild.make_derived, made, state, *reduction[3:])


def _is_made_by_itself(kind: Any) -> bool:
    """Whether a tuple's class is derived from a named tuple and has a `__new__` of its own."""
    definer = next(base for base in kind.__mro__ if "__new__" in vars(base))
    return hasattr(kind, "_fields") and "_fields" not in vars(definer)


def _sought_name(value: Any, function: Any) -> str | None:
    """Where a function of the program finds an object, if it does so: in a global, or a dict there.

    Such a function brings the object: it cannot be called to make it.
    """
    if type(function) is not FunctionType or function.__module__ not in MAIN:
        return None
    scope = function.__globals__
    for name in function.__code__.co_names:
        held = scope.get(name)
        if held is value:
            return name
        if type(held) is dict:
            for key, each in held.items():
                if each is value:
                    return f"{name}[{key!r}]"
    return None


def _without_setstate(value: Any) -> Any:
    """Return the reduction of an object whose `__getattr__` needs the object's state."""
    reduction = value.__reduce_ex__(5)
    if len(reduction) < 3 or reduction[2] is None:  # noqa: PLR2004 -- without a state
        return reduction
    items = (*reduction[3:5], None, None)[:2]
    return *reduction[:3], *items, rebuild.fill_object


def _marker_name(value: Any) -> str | None:
    """Return the name of a marker of the main program: an instance that has no attributes."""
    kind = type(value)
    if rebuild.builtin_base(kind) is not object or getattr(value, "__dict__", None):
        return None
    scope = getattr(sys.modules.get(kind.__module__), "__dict__", {})
    for name, each in list(scope.items()):
        if each is value:
            return None if _state(value) else str(name)
    return None


def _singleton(value: Any, name: str) -> Any:
    kind = type(value)
    rebuild.name_singleton(name, value)
    base = rebuild.builtin_base(kind)
    content = () if base is object else (base(value),)
    state = _state(value)
    return rebuild.make_singleton, (kind, name, content), state, None, None, rebuild.fill_singleton


class _Constant:
    """Stands in a pickle for a constant that its module knows by identity."""

    def __init__(self, module: str, name: str) -> None:
        self._location = module, name

    def __reduce__(self) -> Any:
        return rebuild.module_attribute, self._location


def parser_reduced(context: PicklingContext, value: Any) -> Any:
    """Return the reduction of a parser of `argparse` or `optparse`, or of one of its arguments."""
    context.modules.add(type(value).__module__)
    reduction = value.__reduce_ex__(5)
    if not isinstance(reduction, tuple) or not isinstance(reduction[2], dict):
        return reduction
    constants = {
        id(getattr(sys.modules[module], name)): _Constant(module, name)
        for module, name in _CONSTANTS
        if module in sys.modules
    }
    state = {name: constants.get(id(each), each) for name, each in reduction[2].items()}
    return (*reduction[:2], state, *reduction[3:])
