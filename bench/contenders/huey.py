"""Huey over Redis: a broker in memory and two worker processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.contenders.redis_peer import RedisPeer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Huey(RedisPeer):
    """Huey with two processes and results in Redis."""

    worker = (
        *("-m", "huey.bin.huey_consumer", "bench.contenders.huey_tasks.huey"),
        *("--workers", "2", "--worker-type", "process", "--quiet"),
    )

    def _tasks(self) -> dict[str, Any]:
        from bench.contenders import huey_tasks

        return huey_tasks.TASKS

    def call(self, function: Callable[..., Any], argument: Any) -> Any:
        return self.named(function)(argument).get(blocking=True, backoff=1.0, max_delay=0.01)

    def map(self, function: Callable[..., Any], arguments: Sequence[Any]) -> list[Any]:
        task = self.named(function)
        results = [task(argument) for argument in arguments]
        return [each.get(blocking=True, backoff=1.0, max_delay=0.01) for each in results]
