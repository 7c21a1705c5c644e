"""Pickles the exception of a job for its user: whole, else without what cannot be sent."""

from __future__ import annotations

import copyreg
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

import picloud_pickle
from picloud_model.pack import seal
from picloud_pickle.results import code, tracebacks
from tblib import pickling_support

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST_PICKLED: Final = 64_000
"""Largest pickle in bytes: far below what travels inline."""
_MOST_TEXT: Final = 2_000
_MOST_VALUE: Final = 4_000
"""Largest text and largest value of any other kind that stay whole in an exception cut down."""
_MOST_LINKED: Final = 20
"""Exceptions of a chain or group that stay in one cut down."""
_MOST_WITH_FRAMES: Final = 3
_MOST_FRAMES: Final = 10
"""Exceptions in it that keep a traceback, and the entries at its end that stay."""


class _TooLargeError(Exception):
    """A pickle that is too large to be sent."""


def exception_parcel(error: BaseException) -> bytes | None:
    """Return the exception as a parcel; None if nothing of it can be sent.

    Notes of the exception say what was left out.
    """
    why = ""
    for form in (_whole, _with_short_tracebacks, _cut_down, _stand_in):
        try:
            candidate = form(error)
            if why:
                candidate.add_note(f"picloud: {_LEFT_OUT[form]}, as with it the exception {why}")
            return seal(code.TREES.attach(_dumps(candidate)))
        except BaseException as failure:  # noqa: BLE001 - pickling runs user code, which may do anything
            why = why or _reason(failure)
            notes = getattr(error, "__notes__", None)
            if form is _with_short_tracebacks and notes:
                notes.pop()  # the next form begins with the exception as it was
    return None


def _dumps(error: BaseException) -> bytes:
    pickling_support.install(error)
    copyreg.pickle(TracebackType, tracebacks.reduced)  # tblib's show carets in wrong places
    data: bytes = picloud_pickle.dumps(error)
    if len(data) > MOST_PICKLED:
        raise _TooLargeError(f"is {len(data):,} bytes, more than {MOST_PICKLED:,}")
    return data


def _reason(failure: BaseException) -> str:
    if isinstance(failure, _TooLargeError):
        return str(failure)
    if isinstance(failure, RecursionError):
        return "is nested too deep to be pickled"
    return f"cannot be pickled ({type(failure).__name__})"


def _whole(error: BaseException) -> BaseException:
    return error


def _with_short_tracebacks(error: BaseException) -> BaseException:
    for each in _linked(error):
        BaseException.with_traceback(each, _last_frames(each.__traceback__))
    return error


def _last_frames(trace: TracebackType | None) -> TracebackType | None:
    """Return the last entries of a traceback, without those of other exceptions."""
    entries = []
    while trace is not None:
        entries.append(trace)
        trace = trace.tb_next
    for entry in reversed(entries[-_MOST_FRAMES:]):
        trace = TracebackType(trace, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return trace


def _linked(error: BaseException) -> Iterator[BaseException]:
    """Return an exception with its causes, contexts and the members of groups, nearest first."""
    seen: set[int] = set()
    queue: list[BaseException | None] = [error]
    for each in queue:
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            yield each
            queue += [each.__cause__, each.__context__]
            if isinstance(each, BaseExceptionGroup):
                queue += each.exceptions


def _cut_down(error: BaseException) -> BaseException:
    """Return a copy that holds the beginning of texts, and the types of other large values."""
    kept = [*islice(_linked(error), _MOST_LINKED)]
    copies: dict[int, BaseException] = {}
    for each in reversed(kept):  # members of a group come before it
        copies[id(each)] = _copied(each, copies)
    for each in kept[:_MOST_WITH_FRAMES]:
        BaseException.with_traceback(copies[id(each)], each.__traceback__)
    for each in kept:
        copy = copies[id(each)]
        if each.__cause__ is not None:
            copy.__cause__ = copies.get(id(each.__cause__))
        if each.__context__ is not None:
            copy.__context__ = copies.get(id(each.__context__))
        copy.__suppress_context__ = each.__suppress_context__
    return copies[id(error)]


def _copied(error: BaseException, copies: dict[int, BaseException]) -> BaseException:
    kind: Any = type(error)
    if isinstance(error, BaseExceptionGroup):
        members = [copies[id(each)] for each in error.exceptions if id(each) in copies]
        copy: BaseException = kind.__new__(kind, _cut(error.message), members)
        if len(members) < len(error.exceptions):
            copy.add_note(f"picloud: {len(error.exceptions) - len(members):,} more are left out")
    else:
        copy = kind.__new__(kind, *map(_cut, error.args))
        copy.args = tuple(map(_cut, error.args))
    for name, value in vars(error).items():
        vars(copy)[name] = _notes(copy, value) if name == "__notes__" else _cut(value)
    return copy


def _notes(copy: BaseException, notes: Any) -> list[Any]:
    listed = notes if isinstance(notes, list) else []
    return [*map(_cut, listed[:_MOST_LINKED]), *getattr(copy, "__notes__", ())]


def _cut(value: Any) -> Any:
    if isinstance(value, str | bytes):
        return value if len(value) <= _MOST_TEXT else _ends(value)
    try:
        size = len(picloud_pickle.dumps(value))
    except BaseException as failure:  # noqa: BLE001 - as above
        return f"<{type(value).__qualname__} left out: it {_reason(failure)}>"
    if size <= _MOST_VALUE:
        return value
    return f"<{type(value).__qualname__} left out: {size:,} bytes pickled>"


def _ends(text: Any) -> Any:
    half = _MOST_TEXT // 2
    note = f"[... {len(text) - 2 * half:,} left out ...]"
    return text[:half] + (note if isinstance(text, str) else note.encode()) + text[-half:]


def _stand_in(error: BaseException) -> BaseException:
    """Return an exception of a built-in class, with the text of one that cannot be pickled."""
    base: Any = next(kind for kind in type(error).__mro__ if kind.__module__ == "builtins")
    text = _cut(str(error))
    try:
        made: BaseException = base(text)
    except TypeError:  # it wants more than a text
        made = Exception(text)
    return made.with_traceback(error.__traceback__)


_LEFT_OUT: Final[dict[Callable[[BaseException], BaseException], str]] = {
    _with_short_tracebacks: "the first frames of this exception's traceback are left out",
    _cut_down: "large values of this exception are left out",
    _stand_in: "only the text of this exception is here",
}
"""What the note of each form but the first says."""
