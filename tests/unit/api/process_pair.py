"""Two API processes over one state store, whose requests are counted."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from typing import TYPE_CHECKING

from picloud_api import wiring
from picloud_driver.blob.directory import DirectoryBlobs
from picloud_driver.bucket.directory import DirectoryBuckets
from picloud_driver.gateway.process import GatewayProcess
from picloud_driver.image.venv import VenvImages
from picloud_driver.queue.sqlite import SqliteQueues
from picloud_driver.secret.file import FileSecrets
from picloud_driver.state import Conflict
from picloud_driver.webhook.direct import DirectWebhooks
from picloud_driver.webhook.network_policy import NetworkPolicy

from tests.unit.api.api_harness import ApiHarness, RecordingScheduler
from tests.unit.api.recording_state import SharedRecordingState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from picloud_api.store.records import Event
    from picloud_driver.state import Operation, StateEntry


class CountingState(SharedRecordingState):
    """A store that several processes write to, and that counts their requests by kind."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.requests: Counter[str] = Counter()

    async def get(self, keys: Sequence[str]) -> dict[str, StateEntry]:
        self.requests["read"] += 1
        return await super().get(keys)

    async def scan(self, prefix: str, after: str = "", limit: int = 1000) -> list[StateEntry]:
        self.requests[f"scan {prefix}"] += 1
        return await super().scan(prefix, after, limit)

    async def commit(self, operations: Sequence[Operation]) -> dict[str, int]:
        self.requests["transaction"] += 1
        # Let the other process run, as it would while a request travels.
        await asyncio.sleep(0)
        try:
            return await super().commit(operations)
        except Conflict:
            self.requests["conflict"] += 1
            raise


class Process(ApiHarness):
    """One of two API processes, which share all but memory; only a test notifies it of events."""

    def __init__(self, root: Path, state: CountingState, scheduler: RecordingScheduler) -> None:
        super().__init__(root)
        self.scheduler = scheduler
        self._state = state

    def ports(self) -> wiring.Ports:
        return wiring.Ports(
            state=self._state,
            blobs=DirectoryBlobs(self.root / "blobs"),
            buckets=DirectoryBuckets(self.root / "buckets"),
            queues=SqliteQueues(self.root / f"{uuid.uuid4().hex}.sqlite", self.clock),
            secrets=FileSecrets(self.root / "secrets"),
            scheduler=self.scheduler,
            images=VenvImages(self.root / "environments", {}),
            gateway=GatewayProcess("127.0.0.1"),
            webhooks=DirectWebhooks(NetworkPolicy()),
        )

    async def receive(self, *events: Event) -> None:
        """Receive events of the other process."""
        await self.server.background.events.on_remote_events(events)


class Pair:
    """Both processes, and their state store."""

    def __init__(self, root: Path) -> None:
        self.state = CountingState(root / "state.sqlite")
        scheduler = RecordingScheduler()
        self.one, self.two = (Process(root, self.state, scheduler) for _ in range(2))

    async def start(self) -> None:
        """Start both; each submits a batch, so that it has common records in its cache."""
        for process in (self.one, self.two):
            await process.start()
            await process.submit(1)
        self.take_requests()

    async def stop(self) -> None:
        """Stop both."""
        for process in (self.one, self.two):
            await process.server.background.stop()
            await process.use_cases.jobs.kill.stop()
        await self.state.close()

    def take_requests(self) -> Counter[str]:
        """Return the number of requests to the store since the last call, by kind."""
        requests, self.state.requests = self.state.requests, Counter()
        return requests
