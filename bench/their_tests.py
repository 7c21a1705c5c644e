"""`python -m bench.their_tests`: run CPython's tests of executors and joblib's of backends here.

`cloud.Executor` takes the place of CPython's executors in its `test_concurrent_futures`, and
"picloud" that of "loky" and "multiprocessing" in joblib's `test_parallel`. Tests that are left out
are below, with the reason. CPython's are those of this Python, or of Debian's package of them.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any, Final

import cloud
from cloud._client.current import current

LONGEST_S: Final = 120
SLOTS: Final = 2

CPYTHON_VERSION: Final = (3, 11)
CPYTHON_TESTS: Final = (
    "InitializerMixin",
    "FailingInitializerMixin",
    "ExecutorShutdownTest",
    "WaitTests",
    "AsCompletedTests",
    "ProcessPoolExecutorTest",
    "ExecutorDeadlockTest",
)
_BY_NAME: Final = "it starts a program that imports an executor from concurrent.futures by name"
_PROCESSES: Final = "it looks at the processes of a pool; jobs have none in this program"
_SHARED: Final = "it shares a semaphore or a manager with its tasks"
_BROKEN: Final = "it wants BrokenProcessPool for all tasks; here one job fails, the others go on"
_EXIT: Final = "it wants an exit of the task's to be raised here, where it would end the program"
CPYTHON_LEFT_OUT: Final = {
    "test_interpreter_shutdown": _BY_NAME,
    "test_submit_after_interpreter_shutdown": _BY_NAME,
    "test_hang_gh83386": _BY_NAME,
    "test_max_workers_too_large": "it is for Windows",
    "test_killed_child": _PROCESSES,
    "test_idle_process_reuse_one": _PROCESSES,
    "test_idle_process_reuse_multiple": _PROCESSES,
    "test_max_tasks_per_child": _PROCESSES,
    "test_max_tasks_per_child_defaults_to_spawn_context": _PROCESSES,
    "test_max_tasks_early_shutdown": _PROCESSES,
    "test_shutdown_deadlock_pickle": _PROCESSES,
    "test_saturation": _SHARED,
    "test_ressources_gced_in_workers": _SHARED,
    "test_traceback": "it wants a private class of the process pool as the cause",
    "test_error_at_task_pickle": "it wants the error from the future; here submit raises it",
    "test_error_during_result_pickle_on_worker": "it wants PicklingError; a CloudException says it",
    "test_exit_during_func_exec_on_worker": _EXIT,
    "test_exit_during_result_pickle_on_worker": _EXIT,
    "test_exit_at_task_unpickle": _BROKEN,
    "test_error_at_task_unpickle": _BROKEN,
    "test_crash_at_task_unpickle": _BROKEN,
    "test_crash_during_func_exec_on_worker": _BROKEN,
    "test_crash_during_result_pickle_on_worker": _BROKEN,
    "test_error_during_result_unpickle_in_result_handler": _BROKEN,
    "test_exit_during_result_unpickle_in_result_handler": _BROKEN,
    "test_shutdown_deadlock": _BROKEN,
}

PROCESS_BACKENDS: Final = 'PROCESS_BACKENDS = ["multiprocessing", "loky"]'
_MEMORY: Final = "it looks at memory that joblib shares with workers of this machine"
_PARENT: Final = "its tasks open a manager of multiprocessing, which only child processes can"
JOBLIB_LEFT_OUT: Final = {
    "test_nested_loop[loky-picloud]": "loky's workers have not registered the backend",
    "test_error_capture": _EXIT,
    "test_dispatch_multiprocessing": _PARENT,
    "test_initializer_context": _PARENT,
    "test_initializer_parallel": _PARENT,
    "test_nested_backend_in_sequential[parallel_config-picloud-None]": (
        "n_jobs=None is the backend's default: all workers, as with joblib's backend for Dask"
    ),
    "test_nested_backend_in_sequential[parallel_backend-picloud-None]": "the same",
    "test_no_blas_crash_or_freeze_with_subprocesses": "its arguments have 16 MB, over the limit",
    "test_auto_memmap_on_arrays_from_generator": _MEMORY,
    "test_memmapping_leaks": _MEMORY,
}


def cpython() -> int:
    """Run CPython's tests; return how many failed."""
    with tempfile.TemporaryDirectory() as folder:
        module = Path(folder, "their_concurrent_futures.py")  # a module that travels with jobs
        module.write_bytes(_source_of_cpython(folder).read_bytes())
        sys.path.insert(0, folder)
        theirs: Any = importlib.import_module(module.stem)
        suite = unittest.TestSuite()
        for name in CPYTHON_TESTS:
            case = type(name, (getattr(theirs, name), _mixin(theirs), theirs.BaseTestCase), {})
            for test in unittest.defaultTestLoader.loadTestsFromTestCase(case):
                if test.id().rpartition(".")[2] not in CPYTHON_LEFT_OUT:
                    suite.addTest(test)
        ran = unittest.TextTestRunner(verbosity=2).run(suite)
    return len(ran.failures) + len(ran.errors)


def _mixin(theirs: Any) -> type:
    """Return what gives their tests an executor."""

    class Executor(cloud.Executor):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.pop("mp_context", None)
            super().__init__(*args, **kwargs)

    class Mixin(theirs.ExecutorMixin):  # type: ignore[misc]
        executor_type = Executor

        def get_context(self) -> None:
            return None

    return Mixin


def _source_of_cpython(folder: str) -> Path:
    """Return the file of CPython's tests: of this Python, else of Debian's package of them.

    Raises:
        SystemExit: When neither is there.
    """
    if sys.version_info[:2] != CPYTHON_VERSION:
        sys.exit("CPython's tests need Python {}.{}.".format(*CPYTHON_VERSION))
    if found := importlib.util.find_spec("test.test_concurrent_futures"):
        return Path(found.origin or "")
    package = "libpython{}.{}-testsuite".format(*CPYTHON_VERSION)
    try:
        subprocess.run(["apt-get", "-qq", "download", package], cwd=folder, check=True)
        (archive,) = Path(folder).glob("*.deb")
        subprocess.run(["dpkg", "-x", archive, folder], check=True)
    except (OSError, subprocess.CalledProcessError):
        sys.exit(f"This Python has no tests, and Debian's {package} cannot be had.")
    return next(Path(folder).rglob("test_concurrent_futures.py"))


def joblib() -> int:
    """Run joblib's tests; return how many failed, or 1 if the run did."""
    import pytest

    found = importlib.util.find_spec("joblib.test.test_parallel")
    source = Path((found and found.origin) or "").read_text(encoding="utf-8")
    assert PROCESS_BACKENDS in source, "joblib's tests have changed"
    cloud.register_joblib()
    with tempfile.TemporaryDirectory() as folder:
        module = Path(folder, "their_parallel.py")
        module.write_text(source.replace(PROCESS_BACKENDS, 'PROCESS_BACKENDS = ["picloud"]'))
        # Programs that the tests start know the backend, too.
        Path(folder, "sitecustomize.py").write_text("import cloud\n\ncloud.register_joblib()\n")
        os.environ["PYTHONPATH"] = folder
        options = ["-q", "-p", "no:cacheprovider", "-W", "ignore", "-c", os.devnull]
        options += ["--timeout", str(LONGEST_S), "--rootdir", folder, "-k", "picloud"]
        chosen = _Chosen()
        pytest.main([*options, str(module)], plugins=[chosen])
    return chosen.failed


class _Chosen:
    """Leaves out tests, and counts those that fail; a plugin of pytest."""

    failed = 0

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        items[:] = [
            item
            for item in items
            if item.name not in JOBLIB_LEFT_OUT
            and item.name.partition("[")[0] not in JOBLIB_LEFT_OUT
        ]

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.failed += report.failed


def main() -> int:
    """Run both; return how many tests failed."""
    address = current.start_simulator(SLOTS).address
    os.environ |= {"PICLOUD_URL": address.url, "PICLOUD_API_KEY": str(address.key)}
    cloud.result(cloud.call(abs, -1))  # a slot is there
    failed = 0
    for name, run, left_out in (
        ("CPython", cpython, CPYTHON_LEFT_OUT),
        ("joblib", joblib, JOBLIB_LEFT_OUT),
    ):
        failed += (found := run())
        print(f"{name}: {found} failed. Left out:")
        for test, reason in left_out.items():
            print(f"  {test}: {reason}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
