"""The memory that a slot has left."""

from __future__ import annotations

import pytest
from picloud_worker.system import memory

VERSION_1 = {
    "memory.limit_in_bytes": "1000\n",
    "memory.usage_in_bytes": "900\n",
    "memory.stat": "cache 500\ninactive_file 1\ntotal_inactive_file 300\n",
}
VERSION_2 = {
    "memory.max": "1000\n",
    "memory.current": "900\n",
    "memory.stat": "anon 600\ninactive_file 300\n",
}


@pytest.mark.parametrize("files", [VERSION_1, VERSION_2])
def test_the_page_cache_counts_as_left(files: dict[str, str]) -> None:
    """The system frees it when a process needs memory."""
    assert memory.left_bytes(lambda name: files.get(name, "")) == 1000 - 900 + 300


@pytest.mark.parametrize("files", [{}, VERSION_2 | {"memory.max": "max\n"}])
def test_without_a_limit_there_is_no_number(files: dict[str, str]) -> None:
    """Without a limit, or without control groups, memory stops no job."""
    assert memory.left_bytes(lambda name: files.get(name, "")) is None


@pytest.mark.parametrize(
    ("files", "count"),
    [
        (VERSION_1 | {"memory.failcnt": "5\n", "memory.memsw.failcnt": "2\n"}, 7),
        # Where memory with swap is limited, the kernel may kill, and both counts stay 0.
        (VERSION_1 | {"memory.failcnt": "0\n", "memory.oom_control": "oom_kill 3\n"}, 3),
        (VERSION_2 | {"memory.events": "low 9\nhigh 0\nmax 12\noom 1\noom_kill 1\n"}, 12),
        (VERSION_2, 0),
        ({}, None),
        (VERSION_2 | {"memory.max": "max\n", "memory.events": "max 4\n"}, None),
    ],
)
def test_what_exceeds_the_limit_is_counted(files: dict[str, str], count: int | None) -> None:
    """In control groups of both versions; without a limit of its own nothing is known of a slot."""
    assert memory.failures(lambda name: files.get(name, "")) == count
