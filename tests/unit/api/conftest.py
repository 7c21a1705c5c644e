"""Fixtures of the API's unit tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.api.world import World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A started server without sockets."""
    made = await World(tmp_path).start()
    yield made
    await made.stop()
