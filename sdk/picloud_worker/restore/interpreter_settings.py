"""What the interpreter and its standard library keep for all code, and jobs may change."""

from __future__ import annotations

import builtins
import faulthandler
import gc
import locale
import logging
import os
import socket
import sys
import threading
import time
import warnings
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from picloud_worker.restore.dict_version import version_of
from picloud_worker.restore.job_variables import VARIABLES
from picloud_worker.restore.logger_settings import LoggerSettings
from picloud_worker.restore.process_state import NotRestoredError, Setting

if TYPE_CHECKING:
    from collections.abc import Callable

    from picloud_worker.restore.codec_registry import CodecRegistry

_HOOKS: Final = ("excepthook", "displayhook", "unraisablehook", "breakpointhook")
_TMPDIR: Final = frozenset((b"TMPDIR", b"TEMP", b"TMP"))
_CSV_LIMIT: Final = 131_072
_DECIMAL_DIGITS: Final = 28
_DECIMAL_ROUNDING: Final = "ROUND_HALF_EVEN"
_DEFAULTS: Final = (("urllib.request", "_opener"), ("ssl", "_create_default_https_context"))
_REPLACEABLE: Final = (
    *(("time", "time"), ("time", "sleep"), ("socket", "socket"), ("os", "fork"), ("os", "system")),
    *(("threading", "Thread"), ("json", "dumps"), ("json", "loads"), ("random", "random")),
    ("logging", "getLogger"),
)
"""What programs replace that pretend another time or network, as gevent does.

They replace more than that, so that nothing can be put back.
"""
_NUMPY_ERRORS: Final = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}


def interpreter_settings(renew_streams: Callable[[], None], codecs: CodecRegistry) -> list[Setting]:
    """Return the settings of this interpreter.

    Args:
        renew_streams: Makes `sys.stdin`, `sys.stdout` and `sys.stderr` anew.
        codecs: Notes which codecs are registered.
    """
    environment, filters, names = _Environment(), _WarningFilters(), _Builtins()
    root, loggers, defaults = logging.getLogger(), LoggerSettings(), _Attributes(_DEFAULTS)
    return [
        Setting("standard streams", _streams, lambda _: renew_streams()),
        Setting("os.environ", environment.read, environment.restore),
        Setting("sys.path", lambda: [*sys.path], _set_path),
        Setting("sys.argv", lambda: [*sys.argv], partial(_set_list, sys, "argv")),
        Setting("import system", _import_system, _set_import_system),
        Setting("builtins", names.are_intact, names.restore),
        Setting("recursion limit", sys.getrecursionlimit, sys.setrecursionlimit),
        Setting("switch interval", sys.getswitchinterval, sys.setswitchinterval),
        Setting("digits of an int", sys.get_int_max_str_digits, sys.set_int_max_str_digits),
        Setting("trace function", sys.gettrace, sys.settrace),
        Setting("profile function", sys.getprofile, sys.setprofile),
        Setting("trace function of threads", threading.gettrace, threading.settrace),
        Setting("profile function of threads", threading.getprofile, threading.setprofile),
        Setting("stack size of threads", threading.stack_size, threading.stack_size),
        *(
            Setting(f"sys.{name}", partial(getattr, sys, name), partial(setattr, sys, name))
            for name in _HOOKS
        ),
        Setting("display of exceptions", _display, _set_display),
        Setting("garbage collection", _collection, _set_collection),
        Setting("crash dump timer", faulthandler.cancel_dump_traceback_later, resets=True),
        Setting("fault handler", faulthandler.is_enabled, lambda _: faulthandler.enable(2)),
        Setting("warning filters", filters.read, filters.restore),
        Setting("warnings.showwarning", lambda: warnings.showwarning, _set_showwarning),
        Setting("logging.disable", lambda: root.manager.disable, logging.disable),
        Setting("level of logging", lambda: root.level, root.setLevel),
        Setting("handlers of logging", lambda: [*root.handlers], partial(_set_handlers, root)),
        Setting("filters of logging", lambda: [*root.filters], partial(_set_list, root, "filters")),
        Setting("loggers", loggers.read, loggers.restore),
        Setting("making of log records", _log_classes, _set_log_classes),
        Setting("codecs.register", codecs.search_functions, codecs.unregister),
        Setting("codecs.register_error", codecs.handlers, codecs.restore_handlers),
        Setting("socket timeout", socket.getdefaulttimeout, socket.setdefaulttimeout),
        Setting("locale", _locale, partial(locale.setlocale, locale.LC_ALL)),
        Setting("time zone", lambda: time.tzname, lambda _: time.tzset()),
        Setting("tempfile.tempdir", _TemporaryDirectory().read, silent=True, resets=True),
        Setting("decimal context", _decimal, _set_decimal),
        Setting("start method of processes", _start_method, _set_start_method, silent=True),
        Setting("event loop", _event_loop, silent=True, resets=True),
        Setting("numpy.seterr", _numpy_errors, _set_numpy_errors),
        Setting("tracemalloc", _is_tracing, _stop_tracing),
        Setting("functions of modules", _Attributes(_REPLACEABLE).read, _refuse),
        Setting("modes of torch", _torch_modes, _set_torch_modes),
        Setting("defaults of modules", defaults.read, defaults.restore),
        Setting("csv.field_size_limit", _csv_limit, _set_csv_limit),
    ]


def _streams() -> tuple[object, ...]:
    found: tuple[object, ...] = ()
    for stream, own in (
        (sys.stdin, sys.__stdin__),
        (sys.stdout, sys.__stdout__),
        (sys.stderr, sys.__stderr__),
    ):
        if own is None or stream is not own or own.closed:
            raise NotRestoredError
        found += (own.encoding, own.errors, own.line_buffering)
    return found


class _Environment:
    """`os.environ`, except for the variables that each job has a value of its own of."""

    def __init__(self) -> None:
        self._environ = os.environ
        self._data: dict[bytes, bytes] = os.environ._data  # type: ignore[attr-defined]  # noqa: SLF001

    def read(self) -> dict[bytes, bytes] | None:
        if os.environ is not self._environ:
            return None
        found = dict(self._data)
        for variable in VARIABLES:
            if variable.value is not None:
                found.pop(variable.name, None)
        return found

    def restore(self, before: dict[bytes, bytes]) -> None:
        os.environ = self._environ  # noqa: B003 - a job put another object there
        now = self.read() or {}
        changed = {name for name in before.keys() | now.keys() if before.get(name) != now.get(name)}
        for name in changed:
            if name in before:
                os.environb[name] = before[name]
            else:
                del os.environb[name]
        if b"TZ" in changed:
            time.tzset()
        if changed & _TMPDIR and "tempfile" in sys.modules:
            tempfile: Any = sys.modules["tempfile"]
            tempfile.tempdir = None


def _set_path(before: list[str]) -> None:
    added = tuple(f"{folder}{os.sep}" for folder in sys.path if folder not in before)
    sys.path[:] = before
    files = [getattr(module, "__file__", None) or "" for module in [*sys.modules.values()]]
    if added and any(file.startswith(added) for file in files):
        # Another job that imports a module of the same name would get the one of this job.
        raise NotRestoredError


class _Builtins:
    """The names every module has; names that libraries add do no harm."""

    def __init__(self) -> None:
        self._names = vars(builtins)
        self._known = dict(self._names)
        self._version = version_of(self._names)
        self._intact = self._version.value

    def are_intact(self) -> bool:
        version = self._version.value
        if version == self._intact:
            return True
        if self._names != self._known:
            if any(self._names.get(name, self) is not each for name, each in self._known.items()):
                return False
            self._known = dict(self._names)
        self._intact = version
        return True

    def restore(self, _: object) -> None:
        self._names.update(self._known)


def _set_list(owner: Any, name: str, before: list[Any]) -> None:
    setattr(owner, name, [*before])


# Several things are one setting where few jobs change any: each setting costs half a microsecond.
def _import_system() -> tuple[list[Any], list[Any], bool]:
    return [*sys.meta_path], [*sys.path_hooks], sys.dont_write_bytecode


def _set_import_system(before: tuple[list[Any], list[Any], bool]) -> None:
    _set_list(sys, "meta_path", before[0])
    _set_list(sys, "path_hooks", before[1])
    sys.dont_write_bytecode = before[2]


def _display() -> tuple[Callable[..., Any], int | None]:
    return threading.excepthook, vars(sys).get("tracebacklimit")


def _set_display(before: tuple[Callable[..., Any], int | None]) -> None:
    threading.excepthook, limit = before
    if limit is not None:
        sys.tracebacklimit = limit
    elif hasattr(sys, "tracebacklimit"):
        del sys.tracebacklimit


def _log_classes() -> tuple[Any, Any]:
    return logging.getLoggerClass(), logging.getLogRecordFactory()


def _set_log_classes(before: tuple[Any, Any]) -> None:
    logging.setLoggerClass(before[0])
    logging.setLogRecordFactory(before[1])


def _csv_limit() -> int:
    csv: Any = sys.modules.get("csv")
    limit: int = _CSV_LIMIT if csv is None else csv.field_size_limit()
    return limit


def _set_csv_limit(before: int) -> None:
    sys.modules["csv"].field_size_limit(before)


def _collection() -> tuple[object, ...]:
    return gc.isenabled(), gc.get_threshold(), gc.get_debug()


def _set_collection(before: tuple[bool, tuple[int, int, int], int]) -> None:
    enabled, threshold, debug = before
    (gc.enable if enabled else gc.disable)()
    gc.set_threshold(*threshold)
    gc.set_debug(debug)


class _WarningFilters:
    """The filters of warnings."""

    def __init__(self) -> None:
        self._filters: list[Any] = warnings.filters  # type: ignore[assignment]

    def read(self) -> list[Any] | None:
        return [*self._filters] if warnings.filters is self._filters else None

    def restore(self, before: list[Any]) -> None:
        self._filters[:] = before
        warnings.filters = self._filters
        with warnings.catch_warnings():
            pass  # its end makes the filters count that stand here


def _set_handlers(root: logging.Logger, before: list[logging.Handler]) -> None:
    for handler in [*root.handlers]:
        if handler not in before:
            root.removeHandler(handler)
    root.handlers[:] = before


def _locale() -> str:
    return locale.setlocale(locale.LC_ALL)


def _set_showwarning(before: Callable[..., None]) -> None:
    logging.captureWarnings(False)  # noqa: FBT003 - logging also remembers that it captures them
    warnings.showwarning = before


class _TemporaryDirectory:
    """`tempfile.tempdir`, which keeps what the variables of one job chose."""

    def __init__(self) -> None:
        self._known: str | None = None

    def read(self) -> None:
        """Have it chosen anew where it is not what was chosen here."""
        module: Any = sys.modules.get("tempfile")
        if module is not None and module.tempdir not in (None, self._known):
            module.tempdir = None
            with suppress(OSError):
                self._known = module.gettempdir()


def _decimal() -> bool:
    module: Any = sys.modules.get("decimal")
    if module is None:
        return True
    now, before = module.getcontext(), module.DefaultContext
    return bool(
        now.prec == before.prec
        and now.rounding == before.rounding
        and now.Emin == before.Emin
        and now.Emax == before.Emax
        and now.traps == before.traps
        and before.prec == _DECIMAL_DIGITS
        and before.rounding == _DECIMAL_ROUNDING
    )


def _set_decimal(_: object) -> None:
    module: Any = sys.modules["decimal"]
    module.DefaultContext.prec = _DECIMAL_DIGITS
    module.DefaultContext.rounding = _DECIMAL_ROUNDING
    module.setcontext(module.DefaultContext.copy())


def _start_method() -> str | None:
    module: Any = sys.modules.get("multiprocessing")
    method: str | None = module and module.get_start_method(allow_none=True)
    return method


def _set_start_method(_: object) -> None:
    sys.modules["multiprocessing"].set_start_method(None, force=True)


def _event_loop() -> None:
    """Let the next job have an event loop of its own: one that is closed is no use to it."""
    module: Any = sys.modules.get("asyncio")
    if module is None:
        return
    if sys.version_info < (3, 14):
        module.set_event_loop_policy(None)
    else:
        module.set_event_loop(None)


def _numpy_errors() -> bool:
    module: Any = sys.modules.get("numpy")
    return module is None or module.geterr() == _NUMPY_ERRORS


def _set_numpy_errors(_: object) -> None:
    sys.modules["numpy"].seterr(**_NUMPY_ERRORS)


def _is_tracing() -> bool:
    module: Any = sys.modules.get("tracemalloc")
    return bool(module is not None and module.is_tracing())


def _stop_tracing(_: object) -> None:
    sys.modules["tracemalloc"].stop()


class _Attributes:
    """Attributes of modules; None while a module is not imported."""

    def __init__(self, attributes: tuple[tuple[str, str], ...]) -> None:
        self._modules = [module for module, _ in attributes]
        self._names = [name for _, name in attributes]
        self._scopes: list[dict[str, Any]] = [{} for _ in attributes]
        self._missing = {*self._modules}

    def read(self) -> tuple[Any, ...]:
        for module in self._missing:
            if module in sys.modules:
                self._find()
                break
        return (*map(dict.get, self._scopes, self._names),)

    def _find(self) -> None:
        """Keep the scopes of modules from their import on: a job may put others in their place."""
        for place, module in enumerate(self._modules):
            if module in self._missing and module in sys.modules:
                self._scopes[place] = vars(sys.modules[module])
        self._missing.difference_update([*sys.modules])

    def restore(self, before: tuple[Any, ...]) -> None:
        for module, scope, name, value in zip(
            self._modules, self._scopes, self._names, before, strict=True
        ):
            if module not in self._missing:
                scope[name] = value


def _refuse(_: object) -> None:
    raise NotRestoredError


def _torch_modes() -> bool:
    module: Any = sys.modules.get("torch")
    return module is None or bool(
        module.is_grad_enabled()
        and module.get_default_dtype() is module.float32
        and not module.are_deterministic_algorithms_enabled()
    )


def _set_torch_modes(_: object) -> None:
    module: Any = sys.modules["torch"]
    module.set_grad_enabled(True)
    module.set_default_dtype(module.float32)
    module.use_deterministic_algorithms(False)  # noqa: FBT003 - as the library has it
