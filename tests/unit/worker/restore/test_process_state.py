"""What a job has changed in its process does not reach the next job there."""

from __future__ import annotations

import asyncio
import builtins
import codecs
import contextlib
import copyreg
import decimal
import faulthandler
import gc
import importlib
import io
import locale
import logging
import mimetypes
import multiprocessing
import os
import random
import resource
import signal
import socket
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from picloud_model.wire import Manifest, Module, encode, unpack_info
from picloud_worker.restore.process_state import ProcessState, Setting

from tests.unit.worker.jobs import pid

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.worker.conftest import Worker
    from tests.unit.worker.fake_api import FakeApi


def state() -> dict[str, Any]:
    """What a job finds in its process."""
    os.umask(mask := os.umask(0o77))
    try:
        asyncio.get_event_loop_policy().get_event_loop()
        loop = True
    except RuntimeError:
        loop = False
    return {
        "process": os.getpid(),
        "directory": str(Path.cwd()),
        "environ": (type(os.environ).__name__, sorted({**os.environ, "PICLOUD_JID": ""}.items())),
        "mask": mask,
        "timers": [signal.getitimer(timer) for timer in (0, 1, 2)],
        "handlers": [str(signal.getsignal(number)).split(" object")[0] for number in range(1, 32)],
        "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "limits": [resource.getrlimit(kind) for kind in range(10)],
        "affinity": os.sched_getaffinity(0),
        "streams": [
            (sys.__dict__[name] is sys.__dict__[f"__{name}__"], sys.__dict__[name].closed,
             sys.__dict__[name].encoding, sys.__dict__[name].errors)
            for name in ("stdin", "stdout", "stderr")
        ],
        "path": [*sys.path],
        "argv": [*sys.argv],
        "open": builtins.open is io.open,
        "interpreter": (
            sys.getrecursionlimit(), sys.getswitchinterval(), sys.gettrace(), sys.getprofile(),
            gc.isenabled(), gc.get_threshold(), threading.stack_size(), time.tzname,
            sys.get_int_max_str_digits(), sys.excepthook is sys.__excepthook__,
        ),
        "filters": [str(each) for each in warnings.filters],
        "showwarning": warnings.showwarning.__module__,
        "logging": (
            logging.root.manager.disable, logging.root.level, len(logging.root.handlers),
            len(logging.root.filters), *(
                (name, logger.level, logger.disabled, len(logger.handlers))
                for name, logger in sorted(logging.root.manager.loggerDict.items())
                if isinstance(logger, logging.Logger) and (logger.level or logger.handlers)
            ),
        ),
        "timeout": socket.getdefaulttimeout(),
        "locale": locale.setlocale(locale.LC_ALL),
        "decimal": (decimal.getcontext().prec, decimal.getcontext().rounding),
        "temporary": tempfile.gettempdir(),
        "registered": registered(),
        "start method": multiprocessing.get_start_method(allow_none=True) in (None, "fork"),
        "loop": loop,
        "fault handler": faulthandler.is_enabled(),
    }  # fmt: skip


def into_a_removed_directory() -> None:
    """Where `os.getcwd` fails from then on."""
    os.chdir(folder := tempfile.mkdtemp())
    Path(folder).rmdir()


def set_timers() -> None:
    """They would end or disturb the next job."""
    signal.alarm(3600)
    signal.setitimer(signal.ITIMER_VIRTUAL, 3600)
    signal.setitimer(signal.ITIMER_PROF, 3600)
    faulthandler.dump_traceback_later(0.2, exit=True)


def lower_limits() -> None:
    """Soft ones, which can be raised again."""
    for kind, soft in (
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_STACK, 1 << 22),
        (resource.RLIMIT_DATA, 1 << 28),
    ):
        resource.setrlimit(kind, (soft, resource.getrlimit(kind)[1]))


def replace_streams() -> None:
    """What the next job prints would be lost."""
    sys.stdout = io.StringIO()
    sys.stderr = sys.stdin = None  # type: ignore[assignment]


def close_streams() -> None:
    """As `exit()` does with stdin."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        stream.close()


def detach_streams() -> None:
    """What is left of them cannot even be asked whether it is closed."""
    sys.stdout.detach()  # type: ignore[union-attr]


def change_encodings() -> None:
    """The next job could not print an umlaut."""
    sys.stdout.reconfigure(encoding="ascii", errors="strict")  # type: ignore[union-attr]


def close_descriptors() -> None:
    """The next file opened would be stdin, stdout or stderr."""
    for number in (0, 1, 2):
        os.close(number)


def change_the_environment() -> None:
    """Set, changed and removed."""
    os.environ["ADDED"] = "1"
    os.environ["PICLOUD_JID"] = "nonsense"
    os.environ["PATH"] = "/nowhere"
    del os.environ["PICLOUD_RUNNING"]


def replace_the_environment() -> None:
    """A mistake that works at home."""
    os.environ = {"PATH": "/nowhere"}  # type: ignore[assignment]  # noqa: B003


def change_the_time_zone() -> None:
    """The C library keeps it."""
    os.environ["TZ"] = "Asia/Tokyo"
    time.tzset()


def handle_signals() -> None:
    """Also the one that a kill is made of."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)


def block_signals() -> None:
    """As above."""
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGUSR1))


def change_the_path() -> None:
    """New entries, and none of the old ones."""
    sys.path = ["/nowhere"]
    sys.argv = ["program", "--verbose"]


def replace_builtins() -> None:
    """Every module would find it."""
    builtins.open = print  # type: ignore[assignment]


def change_the_interpreter() -> None:
    """Each has a harm of its own."""
    sys.setrecursionlimit(5000)
    sys.setswitchinterval(1.0)
    sys.settrace(lambda *_: None)
    sys.setprofile(lambda *_: None)
    sys.set_int_max_str_digits(0)
    gc.disable()
    gc.set_threshold(1, 1, 1)
    threading.stack_size(1 << 20)
    sys.excepthook = print  # type: ignore[assignment]
    faulthandler.disable()


def make_warnings_errors() -> None:
    """The next job would fail at its first deprecated call."""
    warnings.simplefilter("error")
    warnings.showwarning = print  # type: ignore[assignment]


def replace_the_filters() -> None:
    """Another list in its place."""
    warnings.filters = [("ignore", None, Warning, None, 0)]  # type: ignore[assignment]
    logging.captureWarnings(capture=True)


def change_logging() -> None:
    """The next job would log nothing, or twice."""
    logging.disable()
    logging.root.setLevel(logging.CRITICAL)
    logging.root.addHandler(logging.StreamHandler(io.StringIO()))
    logging.root.addFilter(lambda _: False)
    logging.getLogger("of.a.job").addHandler(logging.StreamHandler())
    logging.getLogger("of.a.library").setLevel(logging.CRITICAL)


def change_the_library() -> None:
    """Defaults that modules of the standard library keep."""
    socket.setdefaulttimeout(0.001)
    locale.setlocale(locale.LC_ALL, "C")
    decimal.getcontext().prec = 3
    decimal.getcontext().rounding = decimal.ROUND_UP
    tempfile.tempdir = "/nowhere"
    multiprocessing.set_start_method("spawn")


def close_the_loop() -> None:
    """As scripts did before `asyncio.run`."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.close()


def run_a_loop() -> None:
    """After which there is no current one."""
    asyncio.run(asyncio.sleep(0))


def change_the_mask() -> None:
    """The next job's files would be open to everybody."""
    os.umask(0)


def pin_to_a_core() -> None:
    """The next job would run on it alone."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def register_things() -> None:
    """In tables of modules, among the modules, and where Python lists nothing."""
    for name in ("json", "made_by_a_job"):
        sys.modules[name] = ModuleType(name)
    logging.addLevelName(7, "LOUD")
    copyreg.pickle(complex, lambda _: "0")
    mimetypes.add_type("a/job", ".job")
    codecs.register(lambda name: codecs.lookup("utf-8") if name == "of_a_job" else None)
    codecs.register_error("of_a_job", codecs.ignore_errors)
    b"\xe9".decode("of_a_job", "of_a_job")


def registered() -> list[object]:
    """What is registered of these."""
    found: list[object] = [
        *("made_by_a_job" in sys.modules, hasattr(importlib.import_module("json"), "dumps")),
        *(logging.getLevelName(7), complex in copyreg.dispatch_table),
        *(mimetypes.guess_type("a.job")[0],),
    ]
    for look_up in (codecs.lookup, lambda name: b"\xe9".decode("ascii", name)):
        try:
            found.append(look_up("of_a_job"))
        except LookupError as error:
            found.append(str(error))
    return found


RESTORED: dict[Callable[[], None], str] = {
    into_a_removed_directory: "working directory",
    set_timers: "alarm, virtual timer, profiling timer",
    lower_limits: "limit DATA, limit NOFILE, limit STACK",
    replace_streams: "standard streams",
    close_streams: "standard streams",
    detach_streams: "standard streams",
    change_encodings: "standard streams",
    close_descriptors: "",
    change_the_environment: "os.environ",
    replace_the_environment: "os.environ",
    change_the_time_zone: "os.environ",
    handle_signals: "signal handlers",
    block_signals: "blocked signals",
    change_the_path: "sys.path, sys.argv",
    replace_builtins: "builtins",
    change_the_interpreter: "recursion limit",
    make_warnings_errors: "warning filters, warnings.showwarning",
    replace_the_filters: "warning filters, warnings.showwarning",
    change_logging: (
        "logging.disable, level of logging, handlers of logging, filters of logging, loggers"
    ),
    change_the_library: "socket timeout, locale, decimal context",
    close_the_loop: "",
    run_a_loop: "",
    change_the_mask: "umask",
    register_things: (
        "codecs.register, codecs.register_error, sys.modules (json, made_by_a_job), "
        "copyreg.pickle, logging.addLevelName, mimetypes.add_type"
    ),
    pin_to_a_core: "CPU affinity",
}


def test_the_next_job_finds_its_process_as_it_was(api: FakeApi, worker: Worker) -> None:
    """In the same interpreter; the platform's own log says what was restored."""
    before = api.result(api.submit(state))

    for spoil, names in RESTORED.items():
        batch = api.submit(spoil)
        assert api.result(batch) is None
        found = api.result(api.submit(state))
        assert found == before, spoil.__name__
        remarks = remarks_of(api, batch)
        if names:
            assert len(remarks) == 1, (spoil.__name__, remarks)
            assert remarks[0].startswith(f"restored after the job: {names}"), spoil.__name__
        else:
            assert not remarks, spoil.__name__


def remarks_of(api: FakeApi, batch: str) -> list[str]:
    """What was done to the interpreter after a job."""
    info = api.outcome(batch).info
    return [] if info is None or info.data is None else unpack_info(info.data).remarks


def pretend_another_time() -> None:
    """As a test does that does not want to wait."""
    time.sleep = lambda _: None  # type: ignore[assignment]


def test_a_replaced_function_ends_the_interpreter(api: FakeApi, worker: Worker) -> None:
    """Programs that replace one replace many, of other modules as well."""
    before = api.result(api.submit(pid))

    batch = api.submit(pretend_another_time)
    api.result(batch)

    assert remarks_of(api, batch) == [
        "interpreter replaced after the job: it changed for good functions of modules"
    ]
    assert api.result(api.submit(pid)) != before


def import_from_elsewhere() -> None:
    """Another job that means a module of its own by that name would get this one."""
    folder = tempfile.mkdtemp()
    Path(folder, "configuration_of_mine.py").write_text("x = 1")
    sys.path.insert(0, folder)
    import configuration_of_mine  # type: ignore[import-not-found]  # noqa: F401


def test_what_cannot_be_restored_ends_the_interpreter(api: FakeApi, worker: Worker) -> None:
    """The next job runs in another one, and the platform's own log says why."""
    before = api.result(api.submit(pid))

    batch = api.submit(import_from_elsewhere)
    api.result(batch)

    assert remarks_of(api, batch) == [
        "interpreter replaced after the job: it changed for good sys.path"
    ]
    assert api.result(api.submit(pid)) != before


def test_a_job_that_exits_keeps_its_interpreter(api: FakeApi, worker: Worker) -> None:
    """`exit()` closes stdin; the next job has one."""

    def leave() -> None:
        sys.stdin.close()
        sys.exit(0)

    def read_stdin() -> str:
        return sys.stdin.read()

    before = api.result(api.submit(pid))
    assert "sys.exit(0)" in api.failure(api.submit(leave)).message

    assert api.result(api.submit(read_stdin)) == ""
    assert api.result(api.submit(pid)) == before


def test_a_home_that_was_removed_is_made_again(api: FakeApi, worker: Worker) -> None:
    """The next job runs in a new interpreter there."""

    def remove() -> None:
        import shutil

        shutil.rmtree(Path.cwd())

    home = api.result(api.submit(lambda: str(Path.cwd())))
    api.result(api.submit(remove))

    assert api.result(api.submit(lambda: str(Path.cwd()))) == home
    assert Path(home).is_dir()


LIBRARY = """
import codecs, logging, os, sys, warnings
os.environ["LIBRARY_MODE"] = "fast"
sys.path.append("/opt/library")
warnings.filterwarnings("ignore", message="library")
codecs.register_error("of_library", codecs.ignore_errors)
for name in ("", "of.library"):
    logging.getLogger(name).addHandler(logging.NullHandler())
"""


@pytest.mark.parametrize("changes", ["before", "after"])
def test_what_an_import_sets_stays(api: FakeApi, worker: Worker, changes: str) -> None:
    """It happens once in an interpreter; what the job itself sets is restored, before or after."""
    loggers = ("", "of.library")

    def change() -> None:
        warnings.simplefilter("error")
        os.environ["JOB"] = "1"
        sys.path.append("/opt/job")
        codecs.register_error("of_job", codecs.ignore_errors)
        for name in loggers:
            logging.getLogger(name).addHandler(logging.StreamHandler())

    def import_library() -> list[Any]:
        if changes == "before":
            change()
        import library_of_mine  # type: ignore[import-not-found]  # noqa: F401 - in a job

        if changes == "after":
            change()
        return found()

    def found() -> list[Any]:
        texts = [text.pattern for _, text, *_ in warnings.filters if text]
        actions = {action for action, *_ in warnings.filters}
        variables = [os.environ.get(name) for name in ("LIBRARY_MODE", "JOB")]
        paths = sorted(folder for folder in sys.path if folder.startswith("/opt/"))
        names, kinds = [], {"NullHandler", "StreamHandler"}
        for name in ("of_library", "of_job"):
            with contextlib.suppress(LookupError):
                names += [b"a\xff".decode(errors=name)]
        handlers = [
            sorted(
                kinds.intersection(type(each).__name__ for each in logging.getLogger(name).handlers)
            )
            for name in loggers
        ]
        return [os.getpid(), variables, paths, "library" in texts, "error" in actions, names,
                *handlers]  # fmt: skip

    library = Module("library_of_mine.py", api.store(LIBRARY.encode()))
    bundle = api.store(encode(Manifest([library])))
    process, *during = api.result(api.submit(import_library, bundle=bundle))
    after = api.result(api.submit(found, bundle=bundle))

    both, paths = ["NullHandler", "StreamHandler"], ["/opt/job", "/opt/library"]
    assert during == [["fast", "1"], paths, True, True, ["a", "a"], both, both]
    assert after == [process, ["fast", None], paths[1:], True, False, ["a"], both[:1], both[:1]]


def test_helpers_of_libraries_do_not_cost_the_interpreter(api: FakeApi, worker: Worker) -> None:
    """A resource tracker ends with the interpreter; tqdm starts its monitor when it needs it."""

    def use_trackers() -> int:
        from multiprocessing import resource_tracker

        resource_tracker.ensure_running()
        return os.getpid()

    def use_a_monitor() -> int:
        source = (
            "import threading\n"
            "class TMonitor(threading.Thread):\n"
            "    def __init__(self):\n"
            "        super().__init__(daemon=True)\n"
            "        self.ended = threading.Event()\n"
            "        self.start()\n"
            "    def run(self):\n"
            "        self.ended.wait()\n"
            "    def exit(self):\n"
            "        self.ended.set()\n"
            "        self.join()\n"
        )
        scope: dict[str, Any] = {"__name__": "tqdm._monitor"}
        exec(source, scope)
        scope["TMonitor"]()
        return os.getpid()

    before = api.result(api.submit(pid))

    assert api.result(api.submit(use_trackers)) == before
    assert api.result(api.submit(use_a_monitor)) == before
    assert api.result(api.submit(pid)) == before
    assert api.result(api.submit(threading.active_count)) == 1


def test_reading_that_fails_counts_as_a_change() -> None:
    """A job may have put anything there, also what cannot be compared."""
    held: list[Any] = [1]

    def read() -> Any:
        return 1 / held[0]

    process = ProcessState([Setting("number", read, lambda _: held.__setitem__(0, 1))])
    held[0] = 0

    assert process.restore() == (["number"], [])
    assert process.restore() == ([], [])


@pytest.mark.parametrize("change", [lambda _: None, lambda _: 1 / 0])
def test_what_stays_changed_is_lost(change: Callable[[Any], object]) -> None:
    """Whether setting it raises or merely has no effect."""
    process = ProcessState([Setting("number", random.random, change)])

    assert process.restore() == ([], ["number"])


def test_what_was_restored_with_another_setting_needs_no_word_of_its_own() -> None:
    """As the time zone, which is that of the environment again once that is restored."""
    before = {"environment": 1, "zone": 1}
    held = before.copy()
    process = ProcessState(
        [
            Setting("environment", lambda: held["environment"], lambda _: held.update(before)),
            Setting("zone", lambda: held["zone"], lambda _: None),
        ]
    )
    held.update(environment=2, zone=2)

    assert process.restore() == (["environment"], [])
    assert process.restore() == ([], [])


def test_what_reading_resets_is_read_once() -> None:
    """A timer that a job has set is stopped when it is read, and named."""
    held = [0]

    def read() -> int:
        found, held[0] = held[0], 0
        return found

    process = ProcessState([Setting("timer", read, resets=True)])
    held[0] = 5

    assert process.restore() == (["timer"], [])
    assert process.restore() == ([], [])
