"""Waits that take no time, in a process in which nothing changes."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from picloud_api.engine.process.batch_watch import BatchWatchers, Watch

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from tests.unit.api.api_harness import ApiHarness


class PassingWatch(Watch):
    """A watch whose waits end at once, with the time that they would have taken."""

    def __init__(self, batches: Collection[str], api: ApiHarness) -> None:
        super().__init__(batches)
        self._api = api

    async def wait_for_change(self, timeout_s: float) -> bool:
        self._api.now += timeout_s
        return False


class PassingWatchers(BatchWatchers):
    """Watchers of a process in which nothing changes."""

    def __init__(self, api: ApiHarness) -> None:
        super().__init__()
        self._api = api

    @contextmanager
    def watch(self, batches: Collection[str]) -> Iterator[Watch]:
        yield PassingWatch(batches, self._api)
