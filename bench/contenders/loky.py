"""joblib's process pool: no server, no durability; the floor for two processes and a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.contenders.contender import Contender

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Loky(Contender):
    """Two worker processes, started by the first call."""

    def start(self) -> None:
        from loky import get_reusable_executor

        self._executor = get_reusable_executor(max_workers=2)

    def call(self, function: Callable[..., Any], argument: Any) -> Any:
        return self._executor.submit(function, argument).result()

    def map(self, function: Callable[..., Any], arguments: Sequence[Any]) -> list[Any]:
        futures = [self._executor.submit(function, argument) for argument in arguments]
        return [future.result() for future in futures]

    def stop(self) -> None:
        self._executor.shutdown(wait=True)
