"""Finds the part of a value that cannot be pickled, and the path to it, after pickling failed.

Each part is pickled by itself. The search goes on in the first part that fails, until none of the
parts of that part fails.
"""

from __future__ import annotations

import dis
import re
from contextlib import suppress
from functools import partial
from itertools import islice
from types import CellType, CodeType, FunctionType, GeneratorType, MethodType
from typing import TYPE_CHECKING, Any, Final

import cloudpickle
from picloud_pickle import MAIN, Unsendable, pickled
from picloud_pickle.classes import attributes_of

from cloud._packing.errors import PackingError
from cloud._packing.module_source import ModuleKind, find, may_be_local
from cloud._packing.pickler import ScanningPickler

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Part = tuple[str, object]
"""The name of a part in messages, and the part."""

FAILURES: Final = (Exception, SystemExit, GeneratorExit)
"""What pickling hooks of a program may raise; KeyboardInterrupt is the user's."""
_TBLIB: Final = "tblib"
NAMELESS: Final = "a part of it"
_ATTRIBUTE: Final = "attribute "
_OF_USERS: Final = frozenset(("argparse", "functools", "types"))
"""Modules of the standard library whose objects contain values of the user's."""
_DEEPEST: Final = 30
_WIDEST: Final = 1000
_SHOWN: Final = 8
_PLAIN: Final = frozenset((int, float, str, bytes, bool, complex, type(None), CodeType))
_GLOBALS: Final = frozenset(("LOAD_GLOBAL", "STORE_GLOBAL", "DELETE_GLOBAL"))


def explain(what: str, value: object, parts: Iterable[Part], error: BaseException) -> PackingError:
    """Return the error that says why a value cannot be sent.

    Args:
        what: How the message calls the value.
        value: What could not be pickled.
        parts: Its parts, each with the name the message gives it.
        error: What pickling it raised.
    """
    if _is_too_deep(error):
        return PackingError(
            f"Cannot send {what}: it is nested too deeply to be pickled; send it in flatter parts."
        )
    way = list(_way(value, parts, error))
    culprit, raised = way[-1][1:]
    names = [name for name, _, _ in way[1:]] or ["it"]
    if len(names) > _SHOWN:
        names[_SHOWN // 2 : -_SHOWN // 2] = ["..."]
    reason = str(raised) if isinstance(raised, Unsendable) else _reason(culprit, raised)
    return PackingError(f"Cannot send {what}: {' -> '.join(names)} {reason}.")


def _way(
    value: object, parts: Iterable[Part], error: BaseException
) -> Iterator[tuple[str, object, BaseException]]:
    """Yield the path from a value to the culprit: name, part, and the error of pickling it."""
    entered = [value]
    yield "", value, error
    while len(entered) <= _DEEPEST:
        for name, part in islice(parts, _WIDEST):
            raised = None if any(part is seen for seen in entered) else _failure(part)
            if raised is not None:
                if name.startswith(_ATTRIBUTE) and _is_opaque(entered[-1]):
                    return
                yield name, part, raised
                entered.append(part)
                # An Unsendable explains itself: its parts do not matter.
                parts = () if isinstance(raised, Unsendable) else parts_of(part)
                break
        else:
            return


def _is_opaque(value: object) -> bool:
    """Whether messages name a value itself rather than an attribute that its class uses."""
    kind = type(value)
    name = kind.__module__
    if name == "builtins" or name in _OF_USERS or isinstance(value, (type, BaseException)):
        return False
    return (not may_be_local(name) and name not in MAIN) or find(name).kind is ModuleKind.FOREIGN


def _failure(value: object) -> BaseException | None:
    if type(value) in _PLAIN:
        return None
    try:
        pickled(ScanningPickler(), value)
    except FAILURES as error:
        return error
    return None


def _reason(culprit: object, error: BaseException) -> str:
    kind = type(culprit)
    name = (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )
    article = "an" if name[0] in "aeiou" else "a"
    detail = "" if "cannot pickle" in str(error) else f" ({type(error).__name__}: {error})"
    return f"is {article} {name}, which cannot be pickled{detail}; {_advice(culprit)}"


def _advice(culprit: object) -> str:
    if isinstance(culprit, GeneratorType):
        return "send a list of its items"
    if type(culprit).__module__ == "itertools":  # refused from Python 3.14 on
        return "create it inside the function, or send a list of its items"
    if isinstance(culprit, re.Match):
        return "send its groups"
    if isinstance(culprit, (FunctionType, type)):
        return "define it in the main program or in a module that can be imported"
    return "create it inside the function"


def _is_too_deep(error: BaseException) -> bool:
    return isinstance(error, RecursionError) or isinstance(error.__cause__, RecursionError)


def parts_of(value: Any) -> Iterator[Part]:
    """Yield what is pickled along with a value, each part with its name.

    >>> list(parts_of([7]))
    [('item 0', 7)]
    """
    if isinstance(value, FunctionType):
        yield from _function(value)
    elif isinstance(value, MethodType):
        yield "its object", value.__self__
        yield "its function", value.__func__
    elif isinstance(value, partial):
        yield "the partial's function", value.func
        yield from ((f"argument {at}", part) for at, part in enumerate(value.args))
        yield from ((f"argument {name!r}", part) for name, part in value.keywords.items())
    elif isinstance(value, CellType):
        with suppress(ValueError):
            yield "its content", value.cell_contents
    elif type(value) is dict:
        yield from _items(value.items())
    elif type(value) in (list, tuple):
        yield from ((f"item {at}", part) for at, part in enumerate(value))
    elif type(value) in (set, frozenset):
        yield from (("an element", part) for part in value)
    elif isinstance(value, type):
        yield from _attributes(attributes_of(value))
    else:
        yield from _reduced(value)


def named_parts(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Part]:
    """Yield the arguments of a call, each with its name."""
    yield from ((f"args[{at}]", value) for at, value in enumerate(args))
    yield from ((f"argument {name!r}", value) for name, value in kwargs.items())


def _function(function: FunctionType) -> Iterator[Part]:
    code = function.__code__
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        with suppress(ValueError):  # an empty cell
            yield f"closure variable {name!r}", cell.cell_contents
    scope = function.__globals__
    yield from ((f"global {name!r}", scope[name]) for name in _used(code) if name in scope)
    defaults = function.__defaults__ or ()
    named = code.co_varnames[: code.co_argcount][code.co_argcount - len(defaults) :]
    for name, part in (
        *zip(named, defaults, strict=True),
        *(function.__kwdefaults__ or {}).items(),
    ):
        yield f"default of {name!r}", part
    yield from (
        (f"annotation of {name!r}", part) for name, part in function.__annotations__.items()
    )
    yield from _attributes(vars(function))


def _used(code: CodeType) -> Iterator[str]:
    """Yield the globals that a function uses, including those of functions inside it."""
    for step in dis.get_instructions(code):
        if step.opname in _GLOBALS:
            yield step.argval
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield from _used(const)


def _reduced(value: Any) -> Iterator[Part]:
    """Yield the parts of any other object, as its reduction names them."""
    reduce = cloudpickle.Pickler.dispatch_table.get(type(value))
    if isinstance(value, BaseException) and str(reduce and reduce.__module__).startswith(_TBLIB):
        reduce = None  # it adds a traceback to what every exception is made of
    try:
        reduction: Any = reduce(value) if reduce else value.__reduce_ex__(5)
    except FAILURES:  # then the object itself is to blame
        return
    if not isinstance(reduction, tuple):
        return
    _, arguments, state, items, pairs, *_ = (*reduction, None, None, None, None)
    for scope in state if isinstance(state, tuple) else (state,):
        if isinstance(scope, dict):
            yield from _attributes(scope)
        elif scope is not None:
            yield "its state", scope
    listed: Iterable[object] = items or ()
    yield from ((f"item {at}", item) for at, item in enumerate(listed))
    yield from _items(pairs or ())
    yield from ((NAMELESS, argument) for argument in arguments if argument is not value)


def _items(pairs: Iterable[tuple[object, object]]) -> Iterator[Part]:
    for key, part in pairs:
        shown = repr(key) if type(key) in _PLAIN else f"a {type(key).__qualname__}"
        yield f"item {shown[:60]}", part
        yield f"key {shown[:60]}", key


def _attributes(scope: dict[str, Any]) -> Iterator[Part]:
    return ((f"{_ATTRIBUTE}{name!r}", part) for name, part in scope.items())
