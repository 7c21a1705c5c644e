"""Objects that each process has for itself: data of a thread, and handlers of logs."""

from __future__ import annotations

import gc
import sys
import threading
from typing import TYPE_CHECKING, Any

from picloud_pickle import rebuild
from picloud_pickle.reference import is_in_job

if TYPE_CHECKING:
    from picloud_pickle.reference import PicklingContext


def reduced(context: PicklingContext, value: Any) -> Any:
    """Return the reduction of a `threading.local` or a handler of `logging`."""
    is_local = isinstance(value, threading.local)
    return (_thread_local_reduced if is_local else _handler_reduced)(context, value)


def _thread_local_reduced(context: PicklingContext, value: Any) -> Any:
    """Return the reduction of a `threading.local`: with what the present thread has in it.

    Where that cannot be pickled, such as a connection, the job begins without it.
    """
    kind = type(value)
    context.modules.add("threading")
    arguments = [each for each in gc.get_referents(value) if type(each) is tuple]
    made = kind, tuple(arguments[0]) if arguments else (), rebuild.token_of(value)
    state = dict(vars(value))
    if state:
        context.has_extras = True
    return make_thread_local, made, state if context.extras else {}, None, None, fill_thread_local


def make_thread_local(kind: Any, arguments: tuple[Any, ...], token: str) -> Any:
    """Return the data of a thread, or that which is known by its token."""
    return rebuild.known_object(token, lambda: kind(*arguments))


def fill_thread_local(value: Any, state: dict[str, Any]) -> None:
    """Give a job the data that its program has; where the program is at home, nothing changes."""
    if is_in_job():
        vars(value).clear()
        vars(value).update(state)


def _handler_reduced(context: PicklingContext, value: Any) -> Any:
    """Return the reduction of a handler of `logging`: without its lock and its open file."""
    kind = type(value)
    context.modules.add(kind.__module__)
    reduction = value.__reduce_ex__(5)
    if hasattr(kind, "__setstate__") or len(reduction) < 3 or type(reduction[2]) is not dict:  # noqa: PLR2004 -- without a state
        return reduction
    state = {name: each for name, each in reduction[2].items() if name != "lock"}
    logging: Any = sys.modules["logging"]
    if isinstance(value, logging.FileHandler):
        state["stream"] = None  # it is opened by the first message
    return *reduction[:2], state, None, None, fill_handler


def fill_handler(handler: Any, state: dict[str, Any]) -> None:
    """Give a handler its attributes, and what each process makes for its handlers."""
    vars(handler).update(state)
    handler.createLock()
    logging: Any = sys.modules["logging"]
    logging._addHandlerRef(handler)  # noqa: SLF001 - as its own `__init__` does
