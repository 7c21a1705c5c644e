"""Fixtures of the worker's tests: a fake API, and real workers that talk to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.worker.fake_api import FakeApi
from tests.unit.worker.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def api() -> Iterator[FakeApi]:
    """A fake API that listens on a port of its own."""
    fake = FakeApi()
    fake.start()
    yield fake
    fake.stop()


@pytest.fixture
def start(api: FakeApi, tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    """Starts workers, which end with the test."""
    workers: list[Worker] = []

    def start_one(**more: Any) -> Worker:
        directory = tmp_path / f"slot{len(workers)}"
        directory.mkdir()
        workers.append(Worker(api, directory, **more))
        return workers[-1]

    yield start_one
    for worker in workers:
        worker.end()


@pytest.fixture
def worker(start: Callable[..., Worker]) -> Worker:
    """One worker."""
    return start()
