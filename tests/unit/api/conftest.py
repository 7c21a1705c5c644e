"""Fixtures of the API's unit tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.api.api_harness import ApiHarness

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[ApiHarness]:
    """A started server without sockets."""
    made = await ApiHarness(tmp_path).start()
    yield made
    await made.stop()
