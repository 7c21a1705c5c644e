"""Dask distributed: a scheduler and two worker processes; what is queued is lost with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from bench.contenders.contender import Contender

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def spread(count: int) -> int:
    """Map a few small jobs from within a job."""
    from distributed import worker_client

    from bench.work import increased

    with worker_client() as client:
        return len(client.gather(client.map(increased, range(count), pure=False)))


class Dask(Contender):
    """A local cluster."""

    lacks: ClassVar[dict[str, str]] = {"cold": "workers start with the cluster"}
    has: ClassVar[frozenset[str]] = frozenset({"calls"})

    def start(self) -> None:
        from distributed import Client, LocalCluster

        self._cluster = LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        )
        self._client = Client(self._cluster)

    def submit(self, function: Callable[..., Any], argument: Any) -> Any:
        return self._client.submit(function, argument, pure=False)

    def gather(self, submitted: Sequence[Any]) -> list[Any]:
        results: list[Any] = self._client.gather(list(submitted))
        return results

    def nest(self, outer: int, inner: int) -> int:
        return sum(self.map(spread, [inner] * outer))

    def map(self, function: Callable[..., Any], arguments: Sequence[Any]) -> list[Any]:
        return self.gather(self._client.map(function, arguments, pure=False))

    def share(self, function: Callable[..., Any], argument: Any, jobs: int) -> list[Any]:
        kept = self._client.scatter(argument, hash=False)
        return self.map(function, [kept] * jobs)

    def stop(self) -> None:
        self._client.close()
        self._cluster.close()
