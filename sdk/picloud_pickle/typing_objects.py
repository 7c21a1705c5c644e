"""Types that `typing` makes for a main program: new types, type variables and aliases."""

from __future__ import annotations

import functools
import sys
import typing
from typing import TYPE_CHECKING, Any, Final

from cloudpickle.cloudpickle import _get_or_create_tracker_id

from picloud_pickle import rebuild
from picloud_pickle.functions import annotation_names, annotations_of, type_names
from picloud_pickle.reference import by_reference

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from picloud_pickle.reference import PicklingContext


def _is_named(context: PicklingContext, value: Any) -> bool:
    if isinstance(value.__module__, str):
        context.modules.add(value.__module__)
    return by_reference(value, value.__name__)


def _new_type(context: PicklingContext, value: Any) -> Any:
    if _is_named(context, value):
        return rebuild.module_attribute, (value.__module__, value.__qualname__)
    named = value.__name__, value.__qualname__, value.__module__
    token = _get_or_create_tracker_id(value)
    return rebuild.make_new_type, (*named, value.__supertype__, token)


def _parameter(context: PicklingContext, value: Any) -> Any:
    """Return a TypeVar, TypeVarTuple or ParamSpec."""
    if _is_named(context, value):
        return rebuild.module_attribute, (value.__module__, value.__name__)
    kind = type(value)
    keywords: dict[str, Any] = {}
    if kind is not getattr(typing, "TypeVarTuple", None):
        flags = ("covariant", "contravariant", "infer_variance")
        keywords = {name: True for name in flags if getattr(value, f"__{name}__", False)}
        if value.__bound__ is not None:
            keywords["bound"] = value.__bound__
    has_default = getattr(value, "has_default", None)  # from Python 3.13 on
    if has_default is not None and has_default():
        keywords["default"] = value.__default__
        if sys.version_info < (3, 13):
            kind = getattr(sys.modules["typing_extensions"], kind.__name__)
    arguments = (value.__name__, *getattr(value, "__constraints__", ()))
    token = _get_or_create_tracker_id(value)
    made = kind, arguments, keywords, value.__module__, token
    return rebuild.make_type_parameter, made


def _alias(context: PicklingContext, value: Any) -> Any:
    if _is_named(context, value):
        return rebuild.module_attribute, (value.__module__, value.__name__)
    keywords = {"type_params": value.__type_params__} if value.__type_params__ else {}
    arguments = value.__name__, value.__value__
    make: Any = type(value)
    return functools.partial(make, **keywords), arguments


_KINDS: Final = {
    "NewType": _new_type,
    "TypeVar": _parameter,
    "TypeVarTuple": _parameter,
    "ParamSpec": _parameter,
    "TypeAliasType": _alias,
}


def validated_reduced(context: PicklingContext, wrapper: Any) -> Any:
    """Return the reduction of a function under `pydantic.validate_call`.

    By itself it takes all that the main program has along, for annotations not resolved yet.
    """
    context.modules.add(type(wrapper).__module__)
    make, arguments, (scope, slots), *_ = wrapper.__reduce_ex__(5)
    resolver = slots["ns_resolver"]
    function = wrapper.function
    names = annotation_names(annotations_of(function).values())
    namespace = type_names(names, getattr(function, "__globals__", {}))
    space = type(resolver)(_namespaces(resolver)(namespace, {}))
    return make, arguments, (scope, {**slots, "ns_resolver": space})


def _namespaces(resolver: Any) -> Any:
    return sys.modules[type(resolver).__module__].NamespacesTuple


REDUCERS: Final[Mapping[type, Callable[[PicklingContext, Any], Any]]] = {
    getattr(typing, name): reducer for name, reducer in _KINDS.items() if hasattr(typing, name)
}
