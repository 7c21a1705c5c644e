"""Classes derived from `msgspec.Struct`: their metaclass, in C, makes the fields and the layout."""

from __future__ import annotations

import sys
from typing import Any, Final

from cloudpickle.cloudpickle import (
    _DYNAMIC_CLASS_TRACKER_BY_ID,
    _get_or_create_tracker_id,
    _lookup_class_or_track,
)

from picloud_pickle import copies

_OPTIONS: Final = (
    *("frozen", "eq", "order", "array_like", "gc", "omit_defaults", "repr_omit_defaults"),
    *("forbid_unknown_fields", "weakref", "dict", "cache_hash", "tag", "tag_field"),
)
_OF_STRUCT: Final = "__struct_"
_MADE_ANEW: Final = frozenset(
    ("__match_args__", "__annotations__", "__signature__", "__orig_bases__")
)
_AFTER_INIT: Final = "__post_init__"


def reduced(kind: Any, attributes: dict[str, Any], others: dict[str, Any]) -> Any:
    """Return the reduction of such a class.

    Args:
        kind: The class.
        attributes: Its own attributes.
        others: What `copies.fill_class` takes besides these.
    """
    annotations = dict(attributes.get("__annotations__", {}))
    own = [name for name in kind.__struct_fields__ if name in annotations]
    renamed = dict(zip(kind.__struct_fields__, kind.__struct_encode_fields__, strict=True))
    config = kind.__struct_config__
    options = {name: getattr(config, name) for name in _OPTIONS if hasattr(config, name)}
    if options.get("tag") is None:
        del options["tag"], options["tag_field"]
    parameters = kind.__signature__.parameters
    options["kw_only"] = any(parameters[name].kind.name == "KEYWORD_ONLY" for name in own)
    options["rename"] = {name: to for name, to in renamed.items() if name != to}
    names = ("__module__", "__qualname__", "__orig_bases__")
    namespace = {name: vars(kind)[name] for name in names if name in vars(kind)}
    defaults = _defaults(kind)
    made = (
        (type(kind), kind.__name__, kind.__bases__),
        {**namespace, "__annotations__": annotations},
        {name: defaults[name] for name in own if name in defaults},
        options,
        (_get_or_create_tracker_id(kind), _AFTER_INIT in attributes),
    )
    rest = {
        name: value
        for name, value in attributes.items()
        if not (name.startswith(_OF_STRUCT) or name in _MADE_ANEW)
    }
    return make_struct, made, (rest, others), None, None, copies.fill_class


def _defaults(kind: Any) -> dict[str, tuple[str, Any]]:
    """Return the default of each field that has one, as an argument of `msgspec.field`."""
    core: Any = sys.modules["msgspec"]
    values = kind.__struct_defaults__
    found = {}
    for name, value in zip(reversed(kind.__struct_fields__), reversed(values), strict=False):
        if type(value).__name__ == "Factory":
            found[name] = "default_factory", value.factory
        elif value is not core.NODEFAULT:
            found[name] = "default", value
    return found


def make_struct(
    made: tuple[Any, str, tuple[Any, ...]],
    namespace: dict[str, Any],
    defaults: dict[str, tuple[str, Any]],
    options: dict[str, Any],
    known: tuple[str, bool],
) -> type:
    """Make such a class with its fields, or return the one that is known by its token.

    Args:
        made: Its metaclass, its name and its bases.
        namespace: Its annotations and where it was defined.
        defaults: What `msgspec.field` takes for each field that has a default.
        options: Its configuration.
        known: Its token, and whether it has a `__post_init__`.
    """
    import msgspec  # noqa: PLC0415 - only where one travels

    token, has_hook = known
    kind: type | None = _DYNAMIC_CLASS_TRACKER_BY_ID.get(token)
    if kind is None:
        metaclass, name, bases = made
        scope = dict(namespace)
        for field, (argument, value) in defaults.items():
            given: Any = {argument: value}
            scope[field] = msgspec.field(**given)
        if has_hook:
            scope[_AFTER_INIT] = _call_hook
        kind = _lookup_class_or_track(token, metaclass(name, bases, scope, **options))
        copies.note_unfilled(kind)
    assert kind is not None
    return kind


def _call_hook(value: Any) -> None:
    """Call the hook that the class has now: the metaclass keeps the one that it was made with."""
    type(value).__post_init__(value)
