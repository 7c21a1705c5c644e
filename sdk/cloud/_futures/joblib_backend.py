"""The backend of joblib: `joblib.parallel_config("picloud")` runs its tasks as jobs."""

from __future__ import annotations

import threading
from concurrent.futures import Future
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
from cloud._futures.executor import Executor, JobFuture
from cloud._futures.shared_arrays import SharedArrays
from cloud.errors import CloudTypeError

if TYPE_CHECKING:
    from collections.abc import Callable

    Task = Callable[[], Any]
    Callback = Callable[[Future[Any]], object]

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
        self._executor: _BatchExecutor | None = None

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

    def submit(self, func: Task, callback: Callback | None = None) -> Future[JobFuture]:
        """Run a batch of tasks as a job, which another thread sends.

        Args:
            func: The batch.
            callback: Is called with the future of the job when that has ended, or with the one that
                this returns, if the job cannot be sent.

        Returns:
            What has the future of the job once that was sent.
        """
        return (self._executor or self._begin()).add(func, callback)

    def retrieve_result_callback(self, future: Future[Any]) -> Any:
        """Return the results of a batch that has ended; raise what a task raised."""
        error = future.exception() if isinstance(future, JobFuture) else None
        if error is not None and (trace := frames_below(error.__traceback__)) is not None:
            # joblib raises it without its traceback.
            error.add_note("In the job:\n" + "".join(format_tb(trace)).rstrip())
        return future.result()

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Kill the jobs that have not ended: a task has raised, or a timeout was reached."""
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.abort()
        if ensure_ready:
            self._begin()

    def terminate(self) -> None:
        """Let the executor go; joblib has the results."""
        self._executor = None
        self.reset_batch_stats()

    def _begin(self) -> _BatchExecutor:
        options = dict(self.backend_kwargs)
        set_up = {name: options.pop(name) for name in _SET_UP if name in options}
        self._executor = _BatchExecutor(
            **set_up, **{f"_{name}": value for name, value in options.items()}
        )
        return self._executor


class _BatchExecutor(Executor):
    """An executor of batches: joblib decides how many tasks, and so how much data, one job has.

    joblib adds one batch after the other. Those that it adds while a request is sent make one map.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._options = replace(self._options, arrays=SharedArrays(self._prepared(_run)))
        self._sending = threading.Lock()
        self._unsent: list[tuple[Task, Callback | None, Future[JobFuture]]] = []
        self._has_sender = False
        self._is_aborted = False

    def add(self, batch: Task, callback: Callback | None) -> Future[JobFuture]:
        """Run a batch as a job; return what has its future once it was sent."""
        sent: Future[JobFuture] = Future()
        with self._sending:
            self._unsent.append((batch, callback, sent))
            if self._has_sender:
                return sent
            self._has_sender = True
        threading.Thread(target=self._send, name="cloud joblib", daemon=True).start()
        return sent

    def abort(self) -> None:
        """Kill the jobs that have not ended, and send no others."""
        with self._sending:
            self._is_aborted = True
            self._unsent.clear()
        self._kill_all()

    def _kill_all(self) -> None:
        if self._jids:
            client().kill(self._jids)

    def _send(self) -> None:
        while True:
            with self._sending:
                unsent, self._unsent = self._unsent, []
                self._has_sender = bool(unsent)
            if not unsent:
                return
            try:
                used = self._used()
                jobs = self._submit_map(used, _run, [[batch for batch, _, _ in unsent]])
            except BaseException as error:  # noqa: BLE001 - it is raised where joblib was called
                for _, callback, sent in unsent:
                    sent.set_exception(error)
                    if callback is not None:
                        callback(sent)
                continue
            if self._is_aborted:
                self._kill_all()
            for jid, (_, callback, sent) in zip(jobs.range, unsent, strict=True):
                future = JobFuture(used, used.job(jid), self.note_error)
                sent.set_result(future)
                if callback is not None:
                    future.add_done_callback(callback)


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
