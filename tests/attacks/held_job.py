"""A job that runs for as long as a test needs it."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloud._client.client import Client

    from tests.e2e.stacks import Stack


@contextmanager
def held_job(stack: Stack, client: Client) -> Iterator[int]:
    """Yield the jid of a job that ends after the `with` block; its result is "true"."""
    gate = stack.shared / f"gate-{uuid4().hex}"
    gate.touch()

    def hold() -> str:
        while gate.exists():
            time.sleep(0.02)
        return "true"

    try:
        yield client.call(hold)
    finally:
        gate.unlink()
