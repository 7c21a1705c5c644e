"""The client that `cloud`'s functions use, for the length of a test."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cloud._client.current import current

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def current_client(client: Any = None) -> Iterator[None]:
    """Let `cloud`'s functions use this client; without one they open one as in a new process."""
    _reset()
    current.client = client
    try:
        yield
    finally:
        _reset()


def _reset() -> None:
    current.client = current.simulator = current.job = current.url = current.key = None
