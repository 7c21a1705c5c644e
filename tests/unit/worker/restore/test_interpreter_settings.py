"""Settings that an interpreter keeps for all code are read and set back."""

from __future__ import annotations

import builtins
import csv
import decimal
import gc
import logging
import os
import socket
import ssl
import sys
import tempfile
import threading
import tracemalloc
import urllib.request
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from picloud_worker.restore.codec_registry import CodecRegistry
from picloud_worker.restore.interpreter_settings import interpreter_settings
from picloud_worker.restore.process_state import NotRestoredError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from picloud_worker.restore.process_state import Setting


def setting_of(name: str) -> Setting:
    """Return a setting of this interpreter."""
    return {each.name: each for each in interpreter_settings(lambda: None, CodecRegistry())}[name]


def replace_a_builtin() -> None:
    """Let `len` be wrong."""
    vars(builtins)["len"] = lambda _: 7


def take_the_hook() -> None:
    """Show exceptions in another way."""
    sys.excepthook = lambda *_: None


def replace_the_environment() -> None:
    """Put a dictionary in the place of the environment."""
    os.environ = {}  # type: ignore[assignment]  # noqa: B003


def install_an_opener() -> None:
    """Have every `urlopen` send a header."""
    urllib.request.install_opener(urllib.request.build_opener())


def trust_any_server() -> None:
    """As scripts do for a server with a self-signed certificate."""
    ssl._create_default_https_context = ssl._create_unverified_context  # type: ignore[assignment]


CHANGES: dict[str, list[Callable[[], Any]]] = {
    "os.environ": [lambda: os.environ.update(OF_A_JOB="1"), replace_the_environment],
    "sys.path": [lambda: sys.path.append("/of/a/job")],
    "sys.argv": [lambda: sys.argv.append("job")],
    "builtins": [replace_a_builtin],
    "recursion limit": [lambda: sys.setrecursionlimit(sys.getrecursionlimit() + 1)],
    "sys.excepthook": [take_the_hook],
    "garbage collection": [gc.disable, lambda: gc.set_threshold(1234)],
    "warning filters": [lambda: warnings.filterwarnings("ignore", "of a job")],
    "logging.disable": [lambda: logging.disable(logging.ERROR)],
    "level of logging": [lambda: logging.getLogger().setLevel(17)],
    "handlers of logging": [lambda: logging.getLogger().addHandler(logging.NullHandler())],
    "tracemalloc": [tracemalloc.start],
    "socket timeout": [lambda: socket.setdefaulttimeout(12.5)],
    "import system": [
        lambda: sys.meta_path.append(None),  # type: ignore[arg-type]
        lambda: sys.path_hooks.append(len),  # type: ignore[arg-type]
        lambda: setattr(sys, "dont_write_bytecode", not sys.dont_write_bytecode),
    ],
    "display of exceptions": [
        lambda: setattr(sys, "tracebacklimit", 0),
        lambda: setattr(threading, "excepthook", print),
    ],
    "making of log records": [
        lambda: logging.setLoggerClass(type("Own", (logging.Logger,), {})),
        lambda: logging.setLogRecordFactory(logging.makeLogRecord),
    ],
    "csv.field_size_limit": [lambda: csv.field_size_limit(3)],
    "defaults of modules": [install_an_opener, trust_any_server],
    "decimal context": [
        lambda: decimal.setcontext(decimal.Context(prec=3)),
        lambda: setattr(decimal.DefaultContext, "prec", 3),
    ],
}


@pytest.mark.parametrize(
    ("name", "change"), [(name, change) for name, each in CHANGES.items() for change in each]
)
def test_a_change_is_seen_and_undone(name: str, change: Callable[[], Any]) -> None:
    """Its value differs after a change, and is the former one once it is set back."""
    setting = setting_of(name)
    before = setting.read()

    change()
    changed = setting.read()
    setting.change(before)

    assert changed != before
    assert setting.read() == before
    assert len("ab") == 2


def test_a_list_is_restored_each_time() -> None:
    """A job that changes the restored list does not change what is restored after it."""
    setting = setting_of("sys.argv")
    before, argv = setting.read(), [*sys.argv]
    for _ in range(2):
        sys.argv.append("of a job")
        setting.change(before)

    restored, sys.argv = sys.argv, argv

    assert restored == before == argv


def test_names_that_libraries_add_to_builtins_stay() -> None:
    """Only a builtin with another value is a change."""
    setting = setting_of("builtins")

    vars(builtins)["added_by_a_library"] = 1
    intact = setting.read()
    del vars(builtins)["added_by_a_library"]

    assert intact is True


def test_a_path_that_modules_came_from_is_not_restored(tmp_path: Path) -> None:
    """Another job that imports a module of the same name would get this one."""
    setting = setting_of("sys.path")
    before = setting.read()
    (tmp_path / "module_of_a_job.py").write_text("")
    sys.path.insert(0, str(tmp_path))
    __import__("module_of_a_job")

    with pytest.raises(NotRestoredError):
        setting.change(before)

    del sys.modules["module_of_a_job"]
    assert sys.path == before


def test_the_temporary_directory_is_chosen_anew(tmp_path: Path) -> None:
    """What the variables of one job chose is not the next one's."""
    setting = setting_of("tempfile.tempdir")
    tempfile.tempdir = str(tmp_path / "of-a-job")

    setting.read()

    assert tempfile.gettempdir() != str(tmp_path / "of-a-job")


def test_a_standard_stream_of_another_s_is_not_ours() -> None:
    """Pytest's own streams are in the place of the interpreter's, and are renewed as a job's."""
    calls: list[str] = []
    (streams, *_) = interpreter_settings(lambda: calls.append("renewed"), CodecRegistry())

    with pytest.raises(NotRestoredError):
        streams.read()
    streams.change(None)

    assert calls == ["renewed"]
