"""Errors of calls with an argument that a function does not have."""

from __future__ import annotations

from typing import Any

import pytest
from cloud._config.misfit import misfit


class Timer:
    """A class of the SDK, as users call it."""

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout


def positional(first: int, /, second: int) -> None:
    """A function with an argument that has no name for its callers."""


@pytest.mark.parametrize(
    ("function", "keywords", "text"),
    [
        (
            Timer.__init__,
            ["timout"],
            "Timer() got an unexpected keyword argument 'timout'; did you mean timeout?",
        ),
        (positional, ["first"], "'first'; it has second."),
        (positional, ["second", "third"], "'third'; it has second."),
        (positional, ["second"], ""),
        (lambda: None, ["x"], "'x'; it has none."),
        (lambda **_: None, ["x"], ""),
    ],
)
def test_the_argument_that_was_meant_is_named(
    function: Any, keywords: list[str], text: str
) -> None:
    """Or all that can be given by name; nothing where each argument is one."""
    assert misfit(function, keywords).endswith(text)
    assert bool(misfit(function, keywords)) == bool(text)
