"""Sizes in words."""

from __future__ import annotations

import pytest
from picloud_model.size import size


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (22_749_184, "22.7 MB"),
        (1_500_000_000, "1.5 GB"),
        (2_500_000_000_000, "2.5 TB"),
        (1_250_000_000_000_000, "1,250.0 TB"),
    ],
)
def test_each_unit_is_a_thousand_of_the_one_before(count: int, words: str) -> None:
    """Sizes are written as the limits are."""
    assert size(count) == words
