"""Processes that `multiprocessing` spawns in a job: they know the job's program, too.

At home such a process runs the script once more under another name and finds its functions and
classes there. A job has no script to run: the process is given what the `__main__` of the job holds
when it starts, by value, so that all else can be pickled by name as at home. It is the same for the
methods `spawn` and `forkserver`, the latter of which is the default from Python 3.14 on.
"""

from __future__ import annotations

import pickle
import sys
from typing import TYPE_CHECKING, Any, Final, NoReturn

from picloud_pickle import source_lines
from picloud_pickle.pickler import dumps
from picloud_pickle.reference import is_dynamic

from picloud_worker.child import notebook_names
from picloud_worker.child.main_program import Loaded, MainProgram

if TYPE_CHECKING:
    from collections.abc import Callable

MODULE: Final = "multiprocessing.spawn"
_KEY: Final = "picloud"
"""The name of ours among the preparation data, where Python passes over those it does not know."""

_OF_A_SCRIPT: Final = frozenset(("init_main_from_name", "init_main_from_path"))
"""What has a spawned process run the file of `__main__`, where that is the script itself."""
_FILE: Final = "__file__"


class SpawnedProgram:
    """Stands among the preparation data of a process; there it becomes what `__main__` holds.

    Args:
        names: What `__main__` of the job holds.
        content: The pickle of these and of the modules that the program made, without those that
            cannot be pickled.
        failed: Why these cannot, by name.
        sys_path: `sys.path`, which unpickling needs.
    """

    def __init__(
        self, names: list[str], content: bytes, failed: dict[str, str], sys_path: list[str]
    ) -> None:
        self._arguments = names, content, failed, sys_path

    def __reduce__(self) -> Any:
        return receive, self._arguments


def watch() -> None:
    """Have every process that is spawned from now on receive what `__main__` holds."""
    spawn: Any = sys.modules[MODULE]
    prepared: Callable[[str], dict[str, Any]] = spawn.get_preparation_data

    def get_preparation_data(name: str) -> dict[str, Any]:
        data = prepared(name)
        for key in _OF_A_SCRIPT & data.keys():
            del data[key]
        return data | {_KEY: current_program(data["sys_path"])}

    spawn.get_preparation_data = get_preparation_data


def current_program(sys_path: list[str]) -> SpawnedProgram:
    """Return what `__main__` holds now, as a spawned process receives it."""
    scope = vars(sys.modules["__main__"])
    values = {
        name: value for name, value in scope.items() if name == _FILE or not name.startswith("__")
    }
    modules = [module for module in [*sys.modules.values()] if is_dynamic(module)]
    failed: dict[str, str] = {}
    try:
        content = dumps((values, modules), for_jobs=True)
    except Exception:  # noqa: BLE001 - of one of them: the others go without it
        failed = {name: reason for name, value in values.items() if (reason := _refusal(value))}
        modules = [module for module in modules if not _refusal(module)]
        sent = {name: value for name, value in values.items() if name not in failed}
        content = dumps((sent, modules), for_jobs=True)
    return SpawnedProgram([*values], content, failed, sys_path)


def _refusal(value: object) -> str:
    """Why a value cannot be pickled; empty if it can."""
    try:
        dumps(value)
    except Exception as error:  # noqa: BLE001 - whatever its own reduction raises
        return _text(error)
    return ""


def receive(names: list[str], content: bytes, failed: dict[str, str], sys_path: list[str]) -> None:
    """Fill `__main__` of a process that was just spawned.

    A task that names what is missing there would end the process, and its pool would wait for that
    task forever. So every name has a value; one that could not come raises an error when called.
    """
    sys.path[:] = sys_path
    source_lines.in_a_job()
    notebook_names.install()
    watch()
    main = MainProgram()
    loaded = main.collect({})
    try:
        values, _ = pickle.loads(content)
        values = loaded.names | values
    except Exception as error:  # noqa: BLE001 - whatever the code of the program raises
        values, failed = {}, dict.fromkeys(names, _text(error))
    values |= {name: _missing(name, reason) for name, reason in failed.items()}
    main.hold(Loaded(values, loaded.patches))


def _missing(name: str, reason: str) -> Callable[..., NoReturn]:
    def missing(*_: object, **__: object) -> NoReturn:
        raise RuntimeError(
            f"{name} cannot be used in a process that was spawned by a job: {reason}"
        )

    return missing


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
