"""Values of built-in kinds that pickle refuses, or takes without what is in them."""

from __future__ import annotations

import contextlib
import contextvars
import copyreg
import functools
import gc
import sys
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from cloudpickle.cloudpickle import (
    _PICKLE_BY_VALUE_MODULES,
    _get_or_create_tracker_id,
    subimport,
)

from picloud_pickle import rebuild, singletons, wrappers
from picloud_pickle.reference import by_reference, is_dynamic

if TYPE_CHECKING:
    from picloud_pickle.reference import PicklingContext


def module_reduced(context: PicklingContext, module: ModuleType) -> Any:
    """Return the reduction of a module: by value if the program made it."""
    name = module.__name__
    if is_dynamic(module):
        scope = {key: value for key, value in vars(module).items() if key not in _OF_MODULE}
        made = name, _get_or_create_tracker_id(module)
        return rebuild.make_module, made, scope, None, None, rebuild.fill_module
    reduction = wrappers.by_name(context, name)
    if reduction is NotImplemented and name not in context.reached_modules:
        submodules = _loaded_submodules(module)
        if submodules:
            context.modules.update(submodules)
            return rebuild.package, (name, submodules)
    if reduction is not NotImplemented:
        return reduction
    # cloudpickle knows modules by their exact type, which lazy ones do not have.
    if type(module) is not ModuleType:
        return rebuild.module_attribute, (name, "")
    if name in sys.modules and not _PICKLE_BY_VALUE_MODULES:
        return subimport, (name,)  # as cloudpickle does after longer checks
    return NotImplemented


def _loaded_submodules(module: ModuleType) -> list[str]:
    """Return the submodules that a package has as attributes here, and those below them.

    Which of them a job uses is unknown where the package is part of a value.
    """
    # A lazy module would begin to load if it were read in the usual way.
    if "__path__" not in object.__getattribute__(module, "__dict__"):
        return []
    start = f"{module.__name__}."
    return sorted(
        name
        for name, submodule in list(sys.modules.items())
        if name.startswith(start) and type(submodule) is ModuleType and _is_attribute(name)
    )


def _is_attribute(name: str) -> bool:
    parent, _, child = name.rpartition(".")
    return vars(sys.modules.get(parent, sys)).get(child) is sys.modules[name]


_OF_MODULE = frozenset(("__builtins__", "__spec__", "__loader__", "__package__", "__name__"))


def method_reduced(context: PicklingContext, method: Any) -> Any:
    """Return the reduction of a bound method: the one that its object has by its name."""
    del context
    function, owner = method.__func__, method.__self__
    name = function.__name__
    try:
        named = getattr(owner, name) == method
    except Exception:  # noqa: BLE001 -- an object's own way to look it up
        named = False
    if not named:
        return NotImplemented
    if by_reference(owner if isinstance(owner, type) else type(owner)):
        return getattr, (owner, name)
    return rebuild.make_method, (owner, name, function)


def no_token_value_reduced(context: PicklingContext, value: Any) -> Any:
    """Return the reduction of the marker `contextvars.Token.MISSING`."""
    del context, value
    return getattr, (contextvars.Token, "MISSING")


def exception_reduced(context: PicklingContext, error: Any) -> Any:
    """Return the reduction of an exception, with its cause and context.

    A class with an `__init__` of its own may want other arguments than those in `args`. Where
    tblib can pickle tracebacks, they travel as well.
    """
    kind = type(error)
    context.modules.add(kind.__module__)
    registered = copyreg.dispatch_table.get(kind)
    of_tblib = registered is not None and registered.__module__.startswith("tblib")
    if registered is not None and not of_tblib:
        return NotImplemented
    reduction = error.__reduce_ex__(5)
    if not isinstance(reduction, tuple) or len(reduction) > 3:  # noqa: PLR2004 -- with a state
        return reduction
    make, arguments, *states = reduction
    state = states[0] if states else None
    methods = kind.__reduce__, kind.__reduce_ex__, kind.__init__, kind.__new__
    in_python = [isinstance(method, FunctionType) for method in methods]
    says_how = any(in_python[:2])
    sets_state = isinstance(getattr(kind, "__setstate__", None), FunctionType)
    if (sets_state and says_how) or not (state is None or isinstance(state, dict)):
        return reduction
    own_args: dict[str, Any] = {}
    if any(in_python[2:]) and not says_how:
        if isinstance(error, BaseExceptionGroup):
            own_args["args"], arguments = arguments, (error.message, [*error.exceptions])
        make, arguments = rebuild.make_exception, (kind, arguments)
    related = {**own_args, **_related(context, error)}
    if of_tblib and error.__traceback__ is not None:
        related["__traceback__"] = error.__traceback__
    if kind in _WITH_NAME and error.name is not None:
        related["name"] = error.name
    if not sets_state:
        related = {**(state or {}), **_in_slots(error), **related}
    if sets_state or isinstance(kind.__setattr__, FunctionType):
        from picloud_pickle.instances import exceptions  # noqa: PLC0415 - few classes do so

        both = exceptions.own_state(error, state) if sets_state else None, related
        return make, arguments, both, None, None, exceptions.fill
    return (make, arguments, related) if related else (make, arguments)


_WITH_NAME = frozenset((AttributeError, NameError, UnboundLocalError))
"""Exceptions with the name that was not found, which Python leaves out."""


def _in_slots(error: BaseException) -> dict[str, Any]:
    names = copyreg._slotnames(type(error))  # type: ignore[attr-defined]  # noqa: SLF001
    return {name: getattr(error, name) for name in names if hasattr(error, name)}


def _related(context: PicklingContext, error: BaseException) -> dict[str, Any]:
    names = ("__cause__", "__context__", "__suppress_context__")
    related = {name: value for name in names if (value := getattr(error, name))}
    if related:
        context.has_extras = True
    return related if context.extras else {}


def weak_set_reduced(context: PicklingContext, value: Any) -> Any:
    """Return the reduction of a WeakSet: with its items, which nothing else may hold over there."""
    context.modules.add(type(value).__module__)
    return rebuild.make_weak_set, (type(value), list(value))


def weak_dict_reduced(context: PicklingContext, value: Any) -> Any:
    """Return the reduction of a WeakKeyDictionary or WeakValueDictionary."""
    context.modules.add(type(value).__module__)
    return rebuild.make_weak_dict, (type(value), list(value.items()))


def memoryview_reduced(context: PicklingContext, view: Any) -> Any:
    """Return the reduction of a memoryview; its copy is writable if it is."""
    del context
    content = view.tobytes() if view.readonly else bytearray(view.tobytes())
    return rebuild.make_memoryview, (content, view.format, tuple(view.shape or ()))


def class_method_reduced(context: PicklingContext, descriptor: Any) -> Any:
    """Return the reduction of a class method of a built-in class, as its dictionary has it."""
    del context
    return rebuild.class_attribute, (descriptor.__objclass__, descriptor.__name__)


def context_variable_reduced(context: PicklingContext, variable: Any) -> Any:
    """Return the reduction of a context variable: by name if a module has it, else with its value.

    A job sets the value before its function is called.
    """
    location = singletons.located(variable)
    if location is not None:
        context.modules.add(location[0])
        return rebuild.module_attribute, location
    context.modules.add("contextvars")
    default: tuple[Any, ...] = ()
    with contextlib.suppress(LookupError):
        default = (contextvars.Context().run(variable.get),)
    made = variable.name, rebuild.token_of(variable), default
    if not (context.for_jobs and context.extras and variable in contextvars.copy_context()):
        return rebuild.make_context_variable, made
    context.has_extras = True
    stands_for = wrappers.Reduced((rebuild.make_context_variable, made))
    return rebuild.patched, (stands_for, [(stands_for, "", variable.get())])


def key_reduced(context: PicklingContext, key: Any) -> Any:
    """Return the reduction of what `functools.cmp_to_key` returns."""
    context.modules.add("functools")
    functions = [each for each in gc.get_referents(key) if each is not type(key)]
    return functools.cmp_to_key, tuple(functions)


def ufunc_reduced(context: PicklingContext, ufunc: Any) -> Any:
    """Return the reduction of a numpy ufunc; `numpy.frompyfunc` makes such of a Python function."""
    context.modules.add("numpy")
    name = ufunc.__name__
    if vars(sys.modules["numpy"]).get(name) is ufunc:
        return rebuild.module_attribute, ("numpy", name)
    functions = [each for each in gc.get_referents(ufunc) if callable(each)]
    if len(functions) != 1:
        return NotImplemented
    return rebuild.make_ufunc, (functions[0], (ufunc.nin, ufunc.nout), ufunc.identity)
