"""Classes by value: all of their own attributes, in the order of their definition."""

from __future__ import annotations

import abc
import collections.abc
import copyreg
import io
import numbers
import operator
import os
import sys
from enum import Enum
from types import FunctionType, GetSetDescriptorType, MemberDescriptorType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from cloudpickle.cloudpickle import (
    _BUILTIN_TYPE_NAMES,
    _class_reduce,
    _enum_getstate,
    _get_or_create_tracker_id,
)

from picloud_pickle import copies, rebuild, wrappers
from picloud_pickle.functions import (
    annotation_names,
    annotations_of,
    type_names,
)
from picloud_pickle.reference import Unsendable, by_reference
from picloud_pickle.source_lines import lines_of_class

if TYPE_CHECKING:
    from collections.abc import Iterator
    from weakref import ref

    from picloud_pickle.reference import PicklingContext

_SINGULAR: Final = frozenset((type(None), type(Ellipsis), type(NotImplemented)))
_DEFERRED: Final = "__annotate_func__"
"""What a class has, from Python 3.14 on, whose annotations are evaluated when they are read."""
_MADE_BY_PYTHON: Final = frozenset(
    (
        *("__weakref__", "__slots__", "__slotnames__", "_abc_impl"),
        *(_DEFERRED, "__annotations_cache__", "__msgspec_cache__"),
    )
)
"""What a class gets anew where it is made or used; `__slotnames__` is a cache of `copyreg`."""
_MEMBER: Final = frozenset(("_value_", "_name_", "__objclass__", "_sort_order_"))
"""What every member of an enumeration has."""
_CTYPES: Final = "_ctypes"
_FIELD: Final = "CField"
"""The class of a field of a structure, which is of another module from Python 3.14 on."""
_OF_PYTHON: Final = (
    *(getattr(collections.abc, name) for name in collections.abc.__all__),
    *(getattr(numbers, name) for name in numbers.__all__),
    *(os.PathLike, io.IOBase, io.RawIOBase, io.BufferedIOBase, io.TextIOBase),
)
_TBLIB: Final = "tblib"
"""It has a reducer for each exception class, in every process that uses it."""


class _Registries(NamedTuple):
    """Which classes are registered with abstract classes, by the id of the class.

    `token` is what `abc.get_cache_token` returned: it differs after each registration.
    """

    token: object
    classes: dict[int, tuple[ref[type], list[type]]]


_registries = _Registries(None, {})


def reduced(context: PicklingContext, kind: type) -> Any:
    """Return the reduction of a class, or NotImplemented for one that a module has by its name."""
    if kind in _SINGULAR or kind in _BUILTIN_TYPE_NAMES:
        return _class_reduce(kind)
    if by_reference(kind):
        return wrappers.by_name(context, kind.__module__, kind.__qualname__)
    if kind.__module__ == _CTYPES or is_native(kind):
        return _native(kind) or _by_value(context, kind)
    if hasattr(kind, "__struct_config__"):  # of the metaclass of msgspec
        from picloud_pickle.instances import structs  # noqa: PLC0415 - few programs define one

        return structs.reduced(kind, attributes_of(kind), _others(context, kind))
    if not kind.__flags__ & rebuild.HEAP_TYPE:
        return _built_in(kind)
    return _by_value(context, kind)


def _built_in(kind: type) -> Any:
    """Return the reduction of a class that Python is built with, and that has no name of its own.

    Raises:
        Unsendable: If no module has it.
    """
    for name in ("_collections_abc", "types"):
        for attribute, value in vars(sys.modules[name]).items():
            if value is kind:
                return rebuild.module_attribute, (name, attribute)
    raise Unsendable(
        f"is the built-in class '{kind.__name__}', which no module has by its name; "
        "use it inside the function"
    )


def _others(context: PicklingContext, kind: type) -> dict[str, Any]:
    """Return what `copies.fill_class` takes besides the attributes of a class."""
    others: dict[str, Any] = {}
    if isinstance(kind, abc.ABCMeta):
        registry = abc._get_dump(kind)[0]  # type: ignore[attr-defined]  # noqa: SLF001
        subclasses = [subclass for each in registry if (subclass := each()) is not None]
        if subclasses:
            others["subclasses"] = subclasses
    others |= _registrations(kind)
    source = lines_of_class(context, kind)
    if source is not None:
        others["source"] = source
    if context.extras:
        names = _annotated(kind)
        if names:
            context.has_extras = True
            others["names"] = names
    return others


def _by_value(context: PicklingContext, kind: type) -> Any:
    others = _others(context, kind)
    if issubclass(kind, Enum):
        return _enumeration(kind, others)
    namespace: dict[str, Any] = {"__qualname__": kind.__qualname__}
    own_scope = vars(kind)
    for name in ("__module__", "__slots__", "__orig_bases__"):
        if name in own_scope:
            namespace[name] = own_scope[name]
    if isinstance(own_scope.get("__dict__"), property):
        namespace["__dict__"] = own_scope["__dict__"]
    if "__class__" in own_scope:
        # A class cannot be given it later, but what such a property calls can.
        replaced = own_scope["__class__"]
        namespace["__class__"] = property() if type(replaced) is property else replaced
    made_class = (
        type(kind),
        kind.__name__,
        kind.__bases__,
        namespace,
        _get_or_create_tracker_id(kind),
    )
    state = attributes_of(kind), others
    return copies.make_class, made_class, state, None, None, copies.fill_class


def _registrations(kind: type) -> dict[str, Any]:
    """Return what a class is registered with, as `copies.fill_class` takes it.

    >>> class Odd:
    ...     pass
    >>> _ = numbers.Number.register(Odd)
    >>> _registrations(Odd)
    {'registered_with': [<class 'numbers.Number'>]}
    """
    found: dict[str, Any] = {}
    abstract = _abstract_classes(kind)
    if abstract:
        found["registered_with"] = abstract
    reducer = copyreg.dispatch_table.get(kind)
    if reducer is not None and not str(reducer.__module__).startswith(_TBLIB):
        found["reducer"] = reducer
    return found


def _abstract_classes(kind: type) -> list[type]:
    """Return the abstract classes of modules that a class was registered with."""
    global _registries  # noqa: PLW0603 -- it belongs to the process, as the registries do
    token = abc.get_cache_token()
    if token != _registries.token:
        _registries = _Registries(token, _read())
    reference, abstract = _registries.classes.get(id(kind), (None, []))
    return abstract if reference is not None and reference() is kind else []


def _read() -> dict[int, tuple[ref[type], list[type]]]:
    classes: dict[int, tuple[ref[type], list[type]]] = {}
    for abstract in {*_OF_PYTHON, *_derived(abc.ABC)}:
        for reference in abc._get_dump(abstract)[0]:  # type: ignore[attr-defined]  # noqa: SLF001
            kind = reference()
            if kind is not None and by_reference(abstract):
                classes.setdefault(id(kind), (reference, []))[1].append(abstract)
    return classes


def _derived(kind: type) -> Iterator[type]:
    each: type
    for each in type.__subclasses__(kind):
        yield each
        yield from _derived(each)


def _enumeration(kind: type[Enum], others: dict[str, Any]) -> Any:
    members = {name: dict(vars(each)) for name, each in kind.__members__.items()}
    own = {name: _without(values, _MEMBER) for name, values in members.items()}
    others["members"] = {name: values for name, values in own.items() if values}
    contents = None
    mixin: Any = getattr(kind, "_member_type_", object)
    if isinstance(getattr(kind, "_new_member_", None), FunctionType):
        # A `__new__` of its own is not called again: it may make of a value what it likes.
        new_arguments = getattr(mixin, "__getnewargs__", lambda _: ())
        contents = {name: new_arguments(each) for name, each in kind.__members__.items()}
    made = (
        kind.__bases__,
        (kind.__name__, kind.__qualname__, kind.__module__),
        {name: values["_value_"] for name, values in members.items()},
        contents,
        _get_or_create_tracker_id(kind),
    )
    attributes = _without(_enum_getstate(kind)[0], _MADE_BY_PYTHON | kind.__members__.keys())
    return copies.make_enum, made, (attributes, others), None, None, copies.fill_class


def attributes_of(kind: type) -> dict[str, Any]:
    """Return the attributes of a class itself that travel with it."""
    attributes = {}
    native = is_native(kind)
    for name, value in vars(kind).items():
        of_slots = type(value) in (MemberDescriptorType, GetSetDescriptorType) and (
            value.__objclass__ is kind
        )
        of_fields = native and type(value).__name__ == _FIELD
        if not (of_slots or of_fields or name in _MADE_BY_PYTHON):
            attributes[name] = value
    if isinstance(attributes.get("__dict__"), property):
        del attributes["__dict__"]
    if _DEFERRED in vars(kind):
        attributes["__annotations__"] = annotations_of(kind)
    return attributes


def _without(scope: dict[str, Any], names: frozenset[str] | set[str]) -> dict[str, Any]:
    return {name: value for name, value in scope.items() if name not in names}


def _annotated(kind: type) -> dict[str, Any]:
    """Return the names that the annotations of a class use, from the module that defines it."""
    scope = vars(kind)
    annotations = annotations_of(kind) if _DEFERRED in scope else scope.get("__annotations__")
    if not isinstance(annotations, dict):
        return {}
    names = annotation_names(annotations.values())
    return type_names(names, _scope_of(kind)) if names else {}


def _scope_of(kind: type) -> dict[str, Any]:
    module = sys.modules.get(kind.__module__)
    return {} if module is None else vars(module)


def is_native(kind: Any) -> bool:
    """Whether a class is of ctypes, which makes its fields and knows its kind by a metaclass."""
    return any(base.__module__ == _CTYPES for base in type(kind).__mro__)


def _native(kind: Any) -> Any:
    """Return the reduction of a class that ctypes makes on demand, or None."""
    ctypes = sys.modules["ctypes"]
    for name in ("Structure", "Union", "Array", "_Pointer", "_SimpleCData", "_CFuncPtr"):
        if kind is type(getattr(ctypes, name)):  # a metaclass, which no module has by its name
            return type, (getattr(ctypes, name),)
    metaclass = type(kind).__name__
    native = getattr(ctypes, kind.__name__.removesuffix("_be").removesuffix("_le"), None)
    for name in ("__ctype_be__", "__ctype_le__"):
        if native is not kind and getattr(native, name, None) is kind:
            return getattr, (native, name)
    if metaclass == "PyCArrayType" and kind.__bases__ == (ctypes.Array,):
        return operator.mul, (kind._type_, kind._length_)
    if metaclass == "PyCPointerType" and kind.__bases__[0].__name__ == "_Pointer":
        return ctypes.POINTER, (kind._type_,)
    if metaclass == "PyCFuncPtrType" and kind.__name__ == "CFunctionType":
        return ctypes.CFUNCTYPE, (kind._restype_, *kind._argtypes_)
    return None
