"""Pools: which slots may run the jobs of a batch."""

from __future__ import annotations

import pytest
from picloud_api.engine.scheduling.pool import pool_of
from picloud_model.wire import Options


def test_batches_with_the_same_needs_share_a_pool() -> None:
    """What does not change the slot, such as a priority, does not change the pool."""
    assert pool_of("a1", Options(priority=1)) == pool_of("a1", Options(priority=9, label="x"))


@pytest.mark.parametrize(
    "other",
    [
        pool_of("a2", Options()),
        pool_of("a1", Options(core_type="m1")),
        pool_of("a1", Options(core_type="f2", cores=2)),
        pool_of("a1", Options(), image="sha256:1"),
    ],
    ids=["account", "core type", "cores", "image"],
)
def test_slots_that_differ_are_another_pool(other: object) -> None:
    """A slot runs jobs of one account, on one core type, with one environment."""
    assert other != pool_of("a1", Options())
