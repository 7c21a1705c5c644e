"""Dask distributed: a scheduler and two worker processes; what is queued is lost with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from bench.contenders.contender import Contender

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Dask(Contender):
    """A local cluster."""

    lacks: ClassVar[dict[str, str]] = {"cold": "workers start with the cluster"}

    def start(self) -> None:
        from distributed import Client, LocalCluster

        self._cluster = LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        )
        self._client = Client(self._cluster)

    def call(self, function: Callable[..., Any], argument: Any) -> Any:
        return self._client.submit(function, argument, pure=False).result()

    def map(self, function: Callable[..., Any], arguments: Sequence[Any]) -> list[Any]:
        futures = self._client.map(function, arguments, pure=False)
        results: list[Any] = self._client.gather(futures)
        return results

    def share(self, function: Callable[..., Any], argument: Any, jobs: int) -> list[Any]:
        kept = self._client.scatter(argument, hash=False)
        return self.map(function, [kept] * jobs)

    def stop(self) -> None:
        self._client.close()
        self._cluster.close()
