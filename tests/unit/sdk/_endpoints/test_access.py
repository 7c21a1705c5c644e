"""Who may call a published function, as users name it."""

from __future__ import annotations

from typing import Any

import pytest
from cloud._endpoints.access import Access, checked_access
from cloud.errors import CloudException, CloudTypeError


def test_access_is_that_of_the_account_by_default() -> None:
    """Without a rate limit."""
    assert checked_access(public=False, calls_per_minute=None) == Access()


@pytest.mark.parametrize("limit", [1, 1_000_000])
def test_a_rate_limit_is_a_number_of_calls(limit: int) -> None:
    """From one a minute on."""
    assert checked_access(public=True, calls_per_minute=limit) == Access(True, limit)


@pytest.mark.parametrize("limit", [0, -1, 1_000_001, 1.5, "60", True])
def test_other_limits_are_refused(limit: Any) -> None:
    """The error says which are allowed."""
    with pytest.raises(CloudException, match="calls_per_minute must be a whole number from 1 to"):
        checked_access(public=True, calls_per_minute=limit)


@pytest.mark.parametrize("origin", ["*", "https://a.example", "http://localhost:8000"])
def test_origins_are_as_browsers_send_them(origin: str) -> None:
    """Without a path; up to 20 of them."""
    assert checked_access(public=False, calls_per_minute=None, origins=[origin] * 20).origins
    with pytest.raises(CloudException, match="at most 20 origins"):
        checked_access(public=False, calls_per_minute=None, origins=[origin] * 21)


def test_origins_are_a_list() -> None:
    """A single text would be a list of letters."""
    with pytest.raises(CloudTypeError, match="origins must be a list of texts"):
        checked_access(public=False, calls_per_minute=None, origins="https://a.example")


@pytest.mark.parametrize("public", [None, 1, "yes"])
def test_public_is_true_or_false(public: Any) -> None:
    """Nothing else opens an endpoint to everybody."""
    with pytest.raises(CloudTypeError, match="public must be True or False"):
        checked_access(public=public, calls_per_minute=None)


@pytest.mark.parametrize("warm", [-1, 101, 1.5, "2", True, None])
def test_warm_slots_are_a_number(warm: Any) -> None:
    """Up to 100."""
    assert checked_access(public=False, calls_per_minute=None, warm=100).warm == 100
    with pytest.raises(CloudException, match="warm must be a whole number of slots from 0 to 100"):
        checked_access(public=False, calls_per_minute=None, warm=warm)
