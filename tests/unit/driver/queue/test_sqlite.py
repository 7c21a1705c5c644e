"""Queues in SQLite, when the disk is full."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from picloud_driver.queue.sqlite import SqliteQueues
from picloud_model.errors import Unavailable

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_push_onto_a_full_disk_is_refused_whole(tmp_path: Path) -> None:
    """The error names the file; what was pushed before stays, and once there is room it works."""
    queues = SqliteQueues(tmp_path / "queues.sqlite")
    await queues.create("q")
    await queues.push("q", "1", [b"first"])
    limit = queues._thread._database.execute
    (pages,) = limit("PRAGMA page_count").fetchone()
    limit(f"PRAGMA max_page_count = {pages + 4}")

    with pytest.raises(Unavailable, match=r"queue file .*queues\.sqlite .*full"):
        await queues.push("q", "2", [b"x" * 1000] * 500)
    assert (await queues.counts("q")).ready == 1
    limit("PRAGMA max_page_count = 1000000")
    await queues.push("q", "2", [b"x" * 1000] * 500)

    assert (await queues.counts("q")).ready == 501
    await queues.close()
