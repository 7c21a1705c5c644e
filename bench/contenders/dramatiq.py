"""Dramatiq over Redis: a broker in memory and two worker processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.contenders.redis_peer import START_S, RedisPeer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Dramatiq(RedisPeer):
    """Dramatiq with two processes of eight threads, its default, and results in Redis."""

    worker = ("-m", "dramatiq", "bench.contenders.dramatiq_tasks", "--processes", "2")

    def _tasks(self) -> dict[str, Any]:
        from bench.contenders import dramatiq_tasks

        return dramatiq_tasks.TASKS

    def call(self, function: Callable[..., Any], argument: Any) -> Any:
        return _result(self.named(function).send(argument))

    def map(self, function: Callable[..., Any], arguments: Sequence[Any]) -> list[Any]:
        task = self.named(function)
        return [_result(each) for each in [task.send(argument) for argument in arguments]]


def _result(message: Any) -> Any:
    return message.get_result(block=True, timeout=int(20 * START_S * 1000))
