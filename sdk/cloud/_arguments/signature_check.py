"""Checks that a function takes the arguments it is given, before anything is sent."""

from __future__ import annotations

from inspect import CO_VARARGS, CO_VARKEYWORDS, signature
from types import FunctionType
from typing import TYPE_CHECKING, Any

from cloud.errors import CloudTypeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def check(func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Check that `func(*args, **kwargs)` is a call that Python can make.

    What does not say which arguments it takes is not checked. Decorators that pass on other
    arguments than they get are taken as they are, not as the function that they wrap.

    Raises:
        CloudTypeError: When the number or the names of the arguments do not fit.

    >>> check(lambda x, y=2: x, [1], {})
    >>> check(lambda x, y=2: x, [], {"z": 3})
    Traceback (most recent call last):
        ...
    cloud.CloudTypeError: <lambda>() does not take these arguments: missing a required argument: 'x'
    """
    if _fits(func, len(args)) and not kwargs:
        return
    if hasattr(func, "__signature__") and isinstance(func, FunctionType):
        return  # what a decorator claims need not be what it takes
    try:
        found = signature(func, follow_wrapped=False)
    except (TypeError, ValueError):
        return
    try:
        found.bind(*args, **kwargs)
    except TypeError as error:
        name = getattr(func, "__name__", None) or type(func).__name__
        raise CloudTypeError(f"{name}() does not take these arguments: {error}") from None


def _fits(func: object, count: int) -> bool:
    """Whether a plain function takes so many positional arguments: most calls need no more."""
    if not isinstance(func, FunctionType) or func.__kwdefaults__:
        return False
    code = func.__code__
    if code.co_kwonlyargcount or code.co_flags & (CO_VARARGS | CO_VARKEYWORDS):
        return False
    return code.co_argcount - len(func.__defaults__ or ()) <= count <= code.co_argcount
