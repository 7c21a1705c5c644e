"""Parsl with its HighThroughputExecutor: an interchange and a pool of two workers."""

from __future__ import annotations

import shutil
import tempfile
from typing import TYPE_CHECKING, Any, ClassVar

from bench.contenders.contender import Contender

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Parsl(Contender):
    """Two workers on loopback."""

    lacks: ClassVar[dict[str, str]] = {
        "cold": "workers start with the executor",
        "nested": "its jobs cannot submit jobs",
    }
    has: ClassVar[frozenset[str]] = frozenset({"calls"})

    def start(self) -> None:
        import parsl
        from parsl.config import Config
        from parsl.executors import HighThroughputExecutor
        from parsl.providers import LocalProvider

        self._home = tempfile.mkdtemp(prefix="parsl-bench-")
        self._apps: dict[Any, Any] = {}
        self._parsl = parsl
        executor = HighThroughputExecutor(
            address="127.0.0.1",
            loopback_address="127.0.0.1",
            max_workers_per_node=2,
            encrypted=False,
            provider=LocalProvider(init_blocks=1, min_blocks=1, max_blocks=1),
        )
        parsl.load(Config(executors=[executor], strategy="none", run_dir=self._home))

    def submit(self, function: Callable[..., Any], argument: Any) -> Any:
        return self._of(function)(argument)

    def gather(self, submitted: Sequence[Any]) -> list[Any]:
        return [future.result() for future in submitted]

    def stop(self) -> None:
        self._parsl.dfk().cleanup()
        self._parsl.clear()
        shutil.rmtree(self._home, ignore_errors=True)

    def _of(self, function: Callable[..., Any]) -> Any:
        if function not in self._apps:
            self._apps[function] = self._parsl.python_app(function, cache=False)
        return self._apps[function]
