"""The border between a program and the SDK: tracebacks show the program's frames, and its jobs'.

Frames of the SDK do not help with an error of its user; `cloud.config.full_tracebacks` keeps them.
"""

from __future__ import annotations

import functools
import linecache
import os
import sys
import sysconfig
import traceback
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from cloud._config.configuration import config
from cloud._config.settings import ClientSettings
from cloud.errors import CloudException, is_of_job

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FrameType, TracebackType

P = ParamSpec("P")
T = TypeVar("T")

_OURS: Final = (
    *("cloud", "picloud_http", "picloud_pickle", "picloud_model"),
    "cloudpickle",
)
"""Packages between a program and what it asked for."""
_CAREFUL: Final = (3, 13)
"""From this Python on, the traceback of a program that ends shows lines that `linecache` has."""


class _Border:
    """Takes the frames of the SDK out of the tracebacks of exceptions that pass it.

    Python adds no frame for a function that an exception leaves after a `with` block: it counts as
    raised again, and `__exit__` may have changed its traceback.
    """

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is None:
            return
        if config.full_tracebacks:
            for each in _linked(error):
                _show_lines(each.__traceback__)
            return
        if is_of_job(error):  # it brings the frames of its job
            error.__traceback__ = frames_below(error.__traceback__)
            _show_lines(error.__traceback__)
            _clean(error)
            return
        is_ours = isinstance(error, (CloudException, KeyboardInterrupt))
        if not is_ours:
            users = _users_part(error.__traceback__)
            if users is not None:  # raised by a generator or another function that was passed in
                error.__traceback__ = users
                return
        # A call that does not fit the function's parameters fails in the frame of the border.
        trace = error.__traceback__
        misfit = isinstance(error, TypeError) and trace is not None and trace.tb_next is None
        if misfit and trace is not None:
            _name_argument(error, trace.tb_frame.f_locals)
        # There are two classes of this name, and most programs have imported neither.
        if misfit or is_ours or type(error).__name__ == "CancelledError":
            error.__traceback__ = None
            _clean(error)


class _LocalCall:
    """Takes our frame out of what a user's function raises that we call in its caller's place."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is not None and not config.full_tracebacks:
            error.__traceback__ = frames_below(error.__traceback__)


LOCAL_CALL: Final = _LocalCall()
"""For the call of a user's function whose exceptions are the function's alone."""
BORDER: Final = _Border()
"""For the body of a generator, or a part of a function; `of_users` is for whole functions."""


def of_users(function: Callable[P, T]) -> Callable[P, T]:
    """Return a function whose exceptions begin with the frames of its caller."""

    @functools.wraps(function)
    def bordered(*args: P.args, **kwargs: P.kwargs) -> T:
        with BORDER:
            return function(*args, **kwargs)

    return bordered


def warn(message: str) -> None:
    """Warn of something at the line of the program that called the SDK."""
    frame: FrameType | None = sys._getframe()  # noqa: SLF001 - as `warnings` does it itself
    level = 1
    while frame is not None and _is_of_sdk(frame):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level)


class UsersIterator(Iterator[Any]):
    """An iterator whose exceptions begin with the frames of its caller.

    Args:
        items: What it iterates over.
    """

    def __init__(self, items: Iterator[Any]) -> None:
        self._items = items

    @of_users
    def __next__(self) -> Any:
        return next(self._items)


def _name_argument(error: BaseException, call: Mapping[str, Any]) -> None:
    """Let the error of a call say which argument was meant.

    Args:
        error: What Python raised.
        call: The local variables of `of_users`' function.
    """
    function, keywords = call.get("function"), call.get("kwargs")
    if function is None or not keywords:
        return
    from cloud._config.misfit import misfit  # noqa: PLC0415 - only a wrong call needs it

    text = misfit(function, keywords)
    if text:
        error.args = (text,)


def _linked(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and those that it was raised from, as its traceback shows them."""
    seen: set[int] = set()
    shown: BaseException | None = error
    while shown is not None and id(shown) not in seen:
        seen.add(id(shown))
        yield shown
        shown = shown.__cause__ or (None if shown.__suppress_context__ else shown.__context__)


def _clean(error: BaseException) -> None:
    """Take the SDK out of the exceptions that an error was raised from."""
    seen = {id(error)}
    while True:
        following = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if following is None or id(following) in seen:
            return
        seen.add(id(following))
        trace = _users_part(following.__traceback__)
        if trace is None and following.__traceback__ is not None:
            # It was raised and caught by the SDK: what it means is in the text of the error.
            error.__cause__ = following.__cause__
            error.__context__ = following.__context__
            error.__suppress_context__ = following.__suppress_context__
            continue
        BaseException.with_traceback(following, trace)  # also where its class sets no attributes
        _show_lines(trace)
        error = following


def _users_part(trace: TracebackType | None) -> TracebackType | None:
    """Return a traceback from the first frame on that is not the SDK's or a library's below it."""
    first = trace
    while trace is not None and (_is_ours(trace) or (trace is not first and _is_library(trace))):
        trace = trace.tb_next
    return trace


def frames_below(trace: TracebackType | None) -> TracebackType | None:
    """Return the frames below the SDK's: those of a job, or of a function that the SDK called."""
    while trace is not None and _is_ours(trace):
        trace = trace.tb_next
    return trace


def _is_ours(trace: TracebackType) -> bool:
    return _is_of_sdk(trace.tb_frame)


def _is_of_sdk(frame: FrameType) -> bool:
    name = frame.f_globals.get("__name__")
    return isinstance(name, str) and name.partition(".")[0] in _OURS


def _is_library(trace: TracebackType) -> bool:
    return trace.tb_frame.f_code.co_filename.startswith(_libraries())


@functools.cache
def _libraries() -> tuple[str, ...]:
    return tuple(f"{sysconfig.get_path(name)}{os.sep}" for name in ("stdlib", "platstdlib"))


def _show_lines(trace: TracebackType | None) -> None:
    """Have a program that ends with a traceback show lines that are in no file here, too."""
    if sys.version_info >= _CAREFUL or sys.excepthook is not sys.__excepthook__:
        return
    from pathlib import Path  # noqa: PLC0415 - a sixth of `import cloud`; only errors need it

    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        is_known = name in linecache.cache and not Path(name).exists()
        if is_known and not ClientSettings.read().running:
            sys.excepthook = traceback.print_exception
            return
        trace = trace.tb_next
