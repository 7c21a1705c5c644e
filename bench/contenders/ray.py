"""Ray: a head with an object store in shared memory; what is queued is lost with it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar, Final

from bench.contenders.contender import Contender, Service

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager


_PORT: Final = 18_473
"""Where Ray Serve listens."""


def spread(count: int) -> int:
    """Map a few small jobs from within a job."""
    import ray

    from bench.work import increased

    remote = ray.remote(increased)
    return len(ray.get([remote.remote(number) for number in range(count)]))


class Ray(Contender):
    """A head with two CPUs, on loopback."""

    lacks: ClassVar[dict[str, str]] = {"cold": "workers start with the head"}
    has: ClassVar[frozenset[str]] = frozenset({"calls", "executor", "services"})

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

    def submit(self, function: Callable[..., Any], argument: Any) -> Any:
        return self._of(function).remote(argument)

    def gather(self, submitted: Sequence[Any]) -> list[Any]:
        results: list[Any] = self._ray.get(submitted)
        return results

    def nest(self, outer: int, inner: int) -> int:
        return sum(self.map(spread, [inner] * outer))

    def share(self, function: Callable[..., Any], argument: Any, jobs: int) -> list[Any]:
        kept = self._ray.put(argument)
        return self.map(function, [kept] * jobs)

    def executor(self) -> AbstractContextManager[Any]:
        from ray.util.multiprocessing import Pool

        pool: AbstractContextManager[Any] = Pool(2)
        return pool

    def publish(self, function: Callable[[], Any]) -> Service:
        from ray import serve

        class Replica:
            async def __call__(self, request: Any) -> Any:
                del request
                return function()

        serve.start(http_options={"host": "127.0.0.1", "port": _PORT})
        serve.run(serve.deployment(num_replicas=1)(Replica).bind(), route_prefix="/")
        return Service(f"http://127.0.0.1:{_PORT}/")

    def stop(self) -> None:
        self._ray.shutdown()

    def _of(self, function: Callable[..., Any]) -> Any:
        if function not in self._remote:
            self._remote[function] = self._ray.remote(function)
        return self._remote[function]
