"""Jobs that run for as long as a test needs them: they wait at a gate, which the test opens."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cloud._client.client import Client

    from tests.e2e.stacks import Stack


@contextmanager
def closed_gate(directory: Path) -> Iterator[Path]:
    """Yield a named pipe at which jobs wait until the `with` block ends."""
    gate = directory / f"gate-{uuid4().hex}"
    os.mkfifo(gate)
    # A reader waits for as long as somebody could write, even one that opens the pipe later.
    writer = os.open(gate, os.O_RDWR)
    try:
        yield gate
    finally:
        gate.unlink()
        os.close(writer)


def wait_at(gate: Path) -> None:
    """Return once a gate is open; for jobs."""
    with suppress(FileNotFoundError):
        gate.read_bytes()


@contextmanager
def held_job(stack: Stack, client: Client) -> Iterator[int]:
    """Yield the jid of a job that ends after the `with` block; its result is "true"."""

    def hold(gate: Path) -> str:
        wait_at(gate)
        return "true"

    with closed_gate(stack.shared) as gate:
        yield client.call(hold, gate)
