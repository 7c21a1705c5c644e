"""The backend of joblib: `joblib.parallel_config("picloud")` runs its tasks as jobs."""

from __future__ import annotations

from traceback import format_tb
from typing import TYPE_CHECKING, Any, Final

from joblib.parallel import (
    AutoBatchingMixin,
    FallbackToBackend,
    ParallelBackendBase,
    SequentialBackend,
    register_parallel_backend,
)
from msgspec.structs import replace

from cloud._client.current import client
from cloud._config.border import frames_below, of_users
from cloud._futures.executor import Executor
from cloud.errors import CloudTypeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloud._futures.executor import JobFuture
    from cloud._jobs.job import Job

NAME: Final = "picloud"
WORKERS: Final = 32
"""What `n_jobs=-1` stands for: joblib makes tasks for so many workers at first, twice as many jobs.
The server decides how many run at once."""

_SET_UP: Final = ("initializer", "initargs")
"""Arguments of `joblib.parallel_config` that are none of the jobs' options."""


class JoblibBackend(AutoBatchingMixin, ParallelBackendBase):  # type: ignore[misc]
    """Runs joblib's batches of tasks as jobs.

    Args:
        backend_kwargs: What `joblib.parallel_config("picloud", ...)` was given besides `n_jobs`:
            options of the jobs, as for `cloud.job`, without the underscore; `initializer` and
            `initargs`, as for `cloud.Executor`.
    """

    default_n_jobs = -1
    supports_retrieve_callback = True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._executor: Executor | None = None
        self._jobs: list[Job] = []

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """Return for how many workers joblib makes tasks."""
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        if n_jobs is None:
            return 1
        return n_jobs if n_jobs > 0 else max(1, WORKERS + 1 + n_jobs)

    def configure(self, n_jobs: int = 1, parallel: Any = None, **_: Any) -> int:
        """Return for how many workers joblib makes tasks; with one, it runs them here."""
        workers = self.effective_n_jobs(n_jobs)
        if workers == 1:
            raise FallbackToBackend(SequentialBackend(nesting_level=self.nesting_level))
        self.parallel = parallel
        self._begin()
        return workers

    def submit(
        self, func: Callable[[], Any], callback: Callable[[Any], object] | None = None
    ) -> JobFuture:
        """Run a batch of tasks as a job; return its future."""
        executor = self._executor or self._begin()
        future = executor.submit(_run, func)
        self._jobs.append(future.job)
        if callback is not None:
            future.add_done_callback(callback)
        return future

    def retrieve_result_callback(self, future: JobFuture) -> Any:
        """Return the results of a batch that has ended; raise what a task raised."""
        error = future.exception()
        if error is not None and (trace := frames_below(error.__traceback__)) is not None:
            # joblib raises it without its traceback.
            error.add_note("In the job:\n" + "".join(format_tb(trace)).rstrip())
        return future.result()

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Kill the jobs that have not ended: a task has raised, or a timeout was reached."""
        jobs, self._jobs = self._jobs, []
        if jobs:
            client().kill(jobs)
        self._executor = None
        if ensure_ready:
            self._begin()

    def terminate(self) -> None:
        """Let the executor go; joblib has the results."""
        self._executor, self._jobs = None, []
        self.reset_batch_stats()

    def _begin(self) -> Executor:
        options = dict(self.backend_kwargs)
        set_up = {name: options.pop(name) for name in _SET_UP if name in options}
        self._executor = _BatchExecutor(
            **set_up, **{f"_{name}": value for name, value in options.items()}
        )
        return self._executor


class _BatchExecutor(Executor):
    """An executor of batches: joblib decides how many tasks, and so how much data, one job has."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._options = replace(self._options, large_arguments=True)


def _run(func: Callable[[], Any]) -> Any:
    """Run a batch: as an argument it travels with its job, not as a function of its own."""
    register_parallel_backend(NAME, JoblibBackend)  # for tasks that name it
    return func()


@of_users
def register_joblib(*, default: bool = False) -> None:
    """Make the backend known to joblib, for `joblib.parallel_config("picloud")`.

    Options of the jobs are passed there, without the underscore: `label`, `type`, `env`, ..., and
    the `initializer` and `initargs` of `cloud.Executor`. The environment of the jobs has to have
    joblib, as has `_env='auto'`; the jobs know the backend.

    Args:
        default: Whether joblib uses it where a program names no backend.

    Raises:
        ModuleNotFoundError: When joblib is not installed here.

    >>> import joblib
    >>> cloud.register_joblib()
    >>> with joblib.parallel_config("picloud", label="powers"):
    ...     joblib.Parallel()(joblib.delayed(pow)(n, 2) for n in range(5))
    [0, 1, 4, 9, 16]
    """
    if not isinstance(default, bool):
        raise CloudTypeError(f"default must be True or False, not {default!r:.80}.")
    register_parallel_backend(NAME, JoblibBackend, make_default=default)
