"""The campaign in short: 500 jobs among 40 faults, on each stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.faults import campaign

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.stacks import EmbeddedStack

SEED = 20_261_201


def test_five_hundred_jobs_among_forty_faults(begin_each: Callable[..., EmbeddedStack]) -> None:
    """No job is lost, ends as an error, or has a wrong or a second result, and nothing is left."""
    stack = begin_each()
    outcome = campaign.run(stack, 500, 40, SEED)

    print(f"\nseed {SEED}: {outcome}")
    assert outcome.kept, outcome
    assert outcome.faults.total() == 40
