"""Larger cores: which one is next, and what a job needs that only waits."""

from __future__ import annotations

import pytest
from cloud._futures.larger_core import next_larger, waiting_options
from picloud_model.core import CORE_TYPES
from picloud_model.wire import Options


@pytest.mark.parametrize(
    ("core_type", "cores", "larger"),
    [
        ("c1", 1, ["c2", "f2", "m1"]),
        ("s1", 1, ["c2", "f2", "m1"]),
        ("c2", 8, ["f2", "m1"]),
        ("f2", 16, ["m1"]),
        ("m1", 8, []),
    ],
)
def test_memory_grows_until_there_is_no_larger_core(
    core_type: str, cores: int, larger: list[str]
) -> None:
    """Each step has more memory than the one before, and a number of cores that its type allows."""
    memory_mb, found = CORE_TYPES[core_type].memory_mb * cores, []
    at: tuple[str, int] | None = (core_type, cores)

    while at is not None and (at := next_larger(*at)) is not None:
        core = CORE_TYPES[at[0]]
        assert at[1] in core.multiples
        assert at[1] <= cores
        assert core.memory_mb * at[1] > memory_mb
        memory_mb = core.memory_mb * at[1]
        found.append(at[0])

    assert found == larger


def test_a_job_that_waits_needs_little() -> None:
    """Neither secrets nor volumes, and no limit of time; the rest is as the user has chosen it."""
    chosen = Options(
        core_type="c2", label="x", secrets=["db"], vols=["v"], max_runtime_s=5.0, kill_process=True
    )

    assert waiting_options(chosen) == Options(core_type="c2", label="x")
