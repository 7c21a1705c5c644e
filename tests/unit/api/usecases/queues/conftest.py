"""A queue with a handler, for the tests of queues."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.api.api_harness import ACCOUNT
from tests.unit.api.queue_handler import attach

if TYPE_CHECKING:
    from picloud_model.wire.attachment import AttachmentInfo

    from tests.unit.api.api_harness import ApiHarness


@pytest.fixture
async def attached(api: ApiHarness) -> AttachmentInfo:
    """A handler of the queue `in` that pushes into `out`, in up to three jobs."""
    for name in ("in", "out"):
        await api.use_cases.queues.queues.create(ACCOUNT, name)
    return await attach(api, max_parallel_jobs=3)
