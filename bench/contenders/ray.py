"""Ray: a head with an object store in shared memory; what is queued is lost with it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar

from bench.contenders.contender import Contender

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Ray(Contender):
    """A head with two CPUs, on loopback."""

    lacks: ClassVar[dict[str, str]] = {"cold": "workers start with the head"}

    def start(self) -> None:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
        import ray

        self._ray = ray
        self._remote: dict[Any, Any] = {}
        ray.init(
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            object_store_memory=1024**3,
            _node_ip_address="127.0.0.1",
        )

    def call(self, function: Callable[..., Any], argument: Any) -> Any:
        return self._ray.get(self._of(function).remote(argument))

    def map(self, function: Callable[..., Any], arguments: Sequence[Any]) -> list[Any]:
        remote = self._of(function)
        results: list[Any] = self._ray.get([remote.remote(argument) for argument in arguments])
        return results

    def share(self, function: Callable[..., Any], argument: Any, jobs: int) -> list[Any]:
        kept = self._ray.put(argument)
        return self.map(function, [kept] * jobs)

    def stop(self) -> None:
        self._ray.shutdown()

    def _of(self, function: Callable[..., Any]) -> Any:
        if function not in self._remote:
            self._remote[function] = self._ray.remote(function)
        return self._remote[function]
