"""Describes why a job failed: by an exception, an exit or a signal."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cloudpickle
from msgspec.structs import replace
from picloud_model.job import Cause, State
from picloud_model.pack import seal
from picloud_model.wire import Failure, encode
from picloud_pickle.results import code

from picloud_worker.advice import add_advice
from picloud_worker.exception_parcel import exception_parcel
from picloud_worker.system import memory

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

MOST_MESSAGE: Final = 4_000
MOST_TRACEBACK: Final = 64_000
"""Bounds in characters: together they stay far below what travels inline."""


_MOST_OF_GROUP: Final = 3
"""Different errors of an exception group that are named in one line."""
_MINUTE_S: Final = 60
_OURS: Final = ("picloud_worker", "picloud_http", "picloud_pickle", "cloudpickle", "cloud")
_KILLED: Final = "Killed by its user"
_BEFORE: Final = (*_OURS, "asyncio")
"""Packages between the loop of a child and user code."""
_LIBRARIES: Final = tuple(
    str(Path(module.__file__).parents[up])
    for module, up in ((os, 0), (cloudpickle, 1), (sys.modules[__name__], 1))
    if module.__file__
)
"""Where code is that is neither the platform's nor its user's, and the platform's."""


class KillSignalError(BaseException):
    """Killed by its user: raised inside user code, so that the traceback shows where it was."""


class RefusedError(Exception):
    """A job that cannot run or whose result cannot be sent, for a reason outside user code."""

    def __init__(self, cause: Cause, message: str) -> None:
        super().__init__(message)
        self.cause = cause
        self.message = message


def describe(error: BaseException) -> Failure:
    """Return why a job failed; never raises, whatever code of the exception's class does.

    >>> describe(SystemExit(3)).message
    'the job called sys.exit(3)'
    """
    if isinstance(error, RefusedError):
        why = error.__cause__
        if why is not None:
            add_advice(why)
        text = "" if why is None else formatted(why.with_traceback(users_frames(why)))
        return bounded(Failure(cause=error.cause, message=error.message, traceback=text))
    error = error.with_traceback(users_frames(error))
    add_advice(error)
    text = formatted(error)
    if isinstance(error, KillSignalError):
        # Its user reads what happened, not the name of a class of ours.
        text = text.replace(f"{__name__}.{KillSignalError.__name__}", _KILLED)
        return bounded(Failure(cause=Cause.KILLED, message="killed by its user", traceback=text))
    if isinstance(error, SystemExit):
        message = f"the job called sys.exit({safe_text(error.code, repr)})"
        return bounded(Failure(cause=Cause.EXIT, message=message, traceback=text))
    name = type(error).__qualname__
    words = safe_text(error, _group_text if isinstance(error, BaseExceptionGroup) else str)
    if isinstance(error, MemoryError):
        limit = memory.out_of_memory(memory.peak_bytes())
        message = f"{limit}: {name}: {words}" if words else f"{limit}: {name}"
        pickled = exception_parcel(error)
        return bounded(
            Failure(
                cause=Cause.MEMORY,
                message=message,
                exception=name,
                traceback=text,
                pickled=pickled,
            )
        )
    failure = Failure(
        cause=Cause.EXCEPTION,
        message=f"{name}: {words}" if words else name,
        exception=name,
        traceback=text,
        pickled=exception_parcel(error),
    )
    return bounded(failure)


def _group_text(group: object) -> str:
    """Return the text of an exception group and of what is in it: each different error once."""
    assert isinstance(group, BaseExceptionGroup)
    counts, groups = Counter[str](), [group]
    while groups:
        for each in groups.pop().exceptions:
            if isinstance(each, BaseExceptionGroup):
                groups.append(each)
            else:
                counts[": ".join(filter(None, (type(each).__qualname__, safe_text(each))))] += 1
    shown = list(counts.items())[:_MOST_OF_GROUP]
    texts = [text if count == 1 else f"{count:,} times {text}" for text, count in shown]
    if len(counts) > len(shown):
        texts.append(f"and {len(counts) - len(shown):,} other errors")
    return f"{group}: {'; '.join(texts)}"


def signalled(number: int, output: str) -> Failure:
    """Return the failure of a job whose process a signal ended.

    Args:
        number: The signal.
        output: The end of what the job wrote to stderr.

    >>> signalled(11, "").message
    'signal 11 (SIGSEGV)'
    """
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = "unknown"
    message = f"signal {number} ({name})"
    if number == signal.SIGTERM:
        message += ", sent by the job itself or by the system: it was not killed by its user"
    return bounded(Failure(cause=Cause.SIGNAL, message=message, traceback=output))


def without_memory(output: str) -> Failure:
    """Return the failure of a job whose process the OOM killer ended."""
    limit = memory.limit_bytes() or 0
    message = f"{memory.out_of_memory(limit)}: the system ended the process"
    return bounded(Failure(cause=Cause.MEMORY, message=message, traceback=output))


def exited(status: int, output: str) -> Failure:
    """Return the failure of a job whose process exited."""
    message = f"the process ended without a result (exit status {status})"
    return bounded(Failure(cause=Cause.EXIT, message=message, traceback=output))


def interfered() -> Failure:
    """Return the failure of a process that wrote into the pipes of the platform.

    >>> interfered().message.split(":")[0]
    'the job interfered with its slot'
    """
    message = (
        "the job interfered with its slot: its process wrote something into a pipe of the "
        "platform that is not a result, and was ended"
    )
    return bounded(Failure(cause=Cause.EXIT, message=message))


def killed(output: str = "") -> Failure:
    """Return the failure of a job that was killed before it started, or that ignored SIGTERM."""
    return bounded(Failure(cause=Cause.KILLED, message="killed by its user", traceback=output))


def over_time(limit_s: float, output: str = "") -> Failure:
    """Return the failure of a job that exceeded its time limit, which users give in minutes.

    >>> over_time(90).message
    'time limit: the job ran longer than its maximum runtime of 1.5 minutes'
    """
    minutes = f"{limit_s / 60:g} minute{'' if limit_s == _MINUTE_S else 's'}"
    message = f"time limit: the job ran longer than its maximum runtime of {minutes}"
    return bounded(Failure(cause=Cause.TIME_LIMIT, message=message, traceback=output))


def bucket_lost() -> Failure:
    """Return the failure of a job whose bucket is no longer mounted.

    >>> bucket_lost().message.split(":")[0]
    '/bucket was lost'
    """
    message = (
        "/bucket was lost: the process that mounted the bucket of this slot has ended, and files "
        "that were not closed are not stored; start the job again"
    )
    return bounded(Failure(cause=Cause.ENVIRONMENT, message=message))


def termination_failure(failure: Failure, why: Failure) -> Failure:
    """Return the failure of a terminated job: the reason, with the traceback of the job."""
    if why.cause == Cause.KILLED:
        return replace(failure, cause=why.cause)
    by = "its time limit" if why.cause == Cause.TIME_LIMIT else "its slot"
    text = failure.traceback.replace(_KILLED, f"Ended by {by}")
    return replace(why, traceback=text, exception=failure.exception, pickled=failure.pickled)


def state_of(failure: Failure) -> State:
    """Return the state that a job ends in: `killed` if a person or its time limit ended it.

    >>> state_of(over_time(90)).name, state_of(signalled(15, "")).name
    ('KILLED', 'ERROR')
    """
    return State.KILLED if failure.cause in (Cause.KILLED, Cause.TIME_LIMIT) else State.ERROR


def parcel(failure: Failure) -> bytes:
    """Return a failure in the form in which it is reported."""
    return seal(encode(failure))


def bounded(failure: Failure) -> Failure:
    """Return the failure with every part cut to what may travel inline; its message is one line."""
    message = " ".join(failure.message.split()) if "\n" in failure.message else failure.message
    text = failure.traceback
    if len(text) > MOST_TRACEBACK:
        half = MOST_TRACEBACK // 2
        text = (
            f"{text[:half]}\n[... {len(text) - 2 * half} characters left out ...]\n{text[-half:]}"
        )
    return Failure(
        cause=failure.cause,
        message=message[:MOST_MESSAGE],
        exception=failure.exception[:MOST_MESSAGE],
        traceback=text,
        pickled=failure.pickled,
    )


def formatted(error: BaseException) -> str:
    """Return the traceback of an exception as text."""
    try:
        return code.TREES.shown_text("".join(traceback.format_exception(error)))
    except BaseException as trouble:  # noqa: BLE001 - a user's exception class runs its own code here
        return f"{type(error).__qualname__} (its traceback failed: {type(trouble).__qualname__})\n"


def users_frames(error: BaseException) -> TracebackType | None:
    """Return the traceback of an exception from the first frame of user code on.

    Where the platform raised it, as a kill does in the middle of a join, it ends with the last one.
    """
    trace = error.__traceback__
    while trace is not None and _is_ours(trace.tb_frame.f_globals.get("__package__"), _BEFORE):
        trace = trace.tb_next
    if trace is not None and _is_ours(type(error).__module__, _OURS):
        _end_with_user_code(trace)
    return trace


def _end_with_user_code(trace: TracebackType) -> None:
    last, inside = trace, False
    current = trace.tb_next
    while current is not None:
        frame = current.tb_frame
        inside = inside or _is_ours(frame.f_globals.get("__package__"), _OURS)
        if not inside or not frame.f_code.co_filename.startswith(_LIBRARIES):
            last, inside = current, False
        current = current.tb_next
    last.tb_next = None


def _is_ours(package: object, ours: tuple[str, ...]) -> bool:
    """Whether a package is one of some, or inside one."""
    if not isinstance(package, str):
        return False
    return any(package == each or package.startswith(f"{each}.") for each in ours)


def safe_text(value: object, how: Callable[[object], str] = str) -> str:
    """Return the text of a user's object, or that making it failed."""
    try:
        return how(value)
    except BaseException as trouble:  # noqa: BLE001 - str() and repr() of user classes
        return f"<its text failed: {type(trouble).__qualname__}>"
