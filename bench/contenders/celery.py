"""Celery over Redis: a broker in memory and two worker processes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from bench.contenders.redis_peer import RedisPeer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Celery(RedisPeer):
    """Celery with two processes and results in Redis."""

    worker = (
        *("-m", "celery", "--app", "bench.contenders.celery_tasks"),
        *("worker", "--concurrency", "2", "--loglevel", "ERROR"),
    )

    def start(self) -> None:
        os.environ["C_FORCE_ROOT"] = "1"  # it runs our own functions here, sent over loopback
        super().start()

    def _tasks(self) -> dict[str, Any]:
        from bench.contenders import celery_tasks

        return celery_tasks.TASKS

    def call(self, function: Callable[..., Any], argument: Any) -> Any:
        return self.named(function).delay(argument).get()

    def map(self, function: Callable[..., Any], arguments: Sequence[Any]) -> list[Any]:
        task = self.named(function)
        results = [task.delay(argument) for argument in arguments]
        return [result.get() for result in results]
