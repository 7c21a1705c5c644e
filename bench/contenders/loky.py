"""joblib's process pool: no server, no durability; the floor for two processes and a pipe."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, ClassVar

from bench.contenders.contender import Contender

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager


class Loky(Contender):
    """Two worker processes, started by the first call."""

    lacks: ClassVar[dict[str, str]] = {
        "chain": "a call cannot wait for another",
        "nested": "a job cannot use the executor that runs it",
    }
    has: ClassVar[frozenset[str]] = frozenset({"calls", "executor", "joblib"})

    def start(self) -> None:
        from loky import get_reusable_executor

        self._executor = get_reusable_executor(max_workers=2)

    def submit(self, function: Callable[..., Any], argument: Any) -> Any:
        return self._executor.submit(function, argument)

    def gather(self, submitted: Sequence[Any]) -> list[Any]:
        return [future.result() for future in submitted]

    def executor(self) -> AbstractContextManager[Any]:
        return nullcontext(self._executor)

    def joblib_backend(self) -> AbstractContextManager[Any]:
        import joblib

        backend: AbstractContextManager[Any] = joblib.parallel_config("loky", n_jobs=2)
        return backend

    def stop(self) -> None:
        self._executor.shutdown(wait=True)
