"""Checking that a function takes its arguments, before anything is sent."""

from __future__ import annotations

from inspect import CO_VARARGS, CO_VARKEYWORDS, signature
from types import FunctionType
from typing import TYPE_CHECKING, Any

from cloud.errors import CloudTypeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def check(func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Check that `func(*args, **kwargs)` is a call that Python can make.

    A callable without a signature is not checked. A decorated function is checked by the signature
    of the decorator's function, which may pass on other arguments than it gets.

    Raises:
        CloudTypeError: When the number or the names of the arguments do not match.

    >>> check(lambda x, y=2: x, [1], {})
    >>> check(lambda x, y=2: x, [], {"z": 3})
    Traceback (most recent call last):
        ...
    cloud.CloudTypeError: <lambda>() does not take these arguments: missing a required argument: 'x'
    """
    if _fits(func, len(args)) and not kwargs:
        return
    if hasattr(func, "__signature__") and isinstance(func, FunctionType):
        return  # a decorator may declare another signature than its function has
    try:
        declared = signature(func, follow_wrapped=False)
    except (TypeError, ValueError):
        return
    try:
        declared.bind(*args, **kwargs)
    except TypeError as error:
        name = getattr(func, "__name__", None) or type(func).__name__
        raise CloudTypeError(
            f"{name}() does not take these arguments: {error}{_meant(kwargs)}"
        ) from None


def check_callable(func: object) -> None:
    """Check that what is passed for the function of a job is one.

    Raises:
        CloudTypeError: When it is not.

    >>> check_callable(3)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    cloud.CloudTypeError: The first argument must be a function, not 3: pass ...
    """
    if not callable(func):
        raise CloudTypeError(
            f"The first argument must be a function, not {func!r:.80}: pass the function and then "
            "its arguments, as in cloud.call(function, 1, 2)."
        )


def _meant(kwargs: Mapping[str, Any]) -> str:
    """Return a hint where an argument has the name of an option without its underscore."""
    from cloud._arguments.options import NAMES  # noqa: PLC0415 - only a failed call needs it

    meant = [f"_{name}" for name in kwargs if f"_{name}" in NAMES]
    return f"; options of the job begin with an underscore: {', '.join(meant)}" if meant else ""


def _fits(func: object, count: int) -> bool:
    """Whether a plain function takes this number of positional arguments; true for most calls."""
    if not isinstance(func, FunctionType) or func.__kwdefaults__:
        return False
    code = func.__code__
    if code.co_kwonlyargcount or code.co_flags & (CO_VARARGS | CO_VARKEYWORDS):
        return False
    return code.co_argcount - len(func.__defaults__ or ()) <= count <= code.co_argcount
