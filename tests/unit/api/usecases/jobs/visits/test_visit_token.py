"""Visit tokens: for one machine, one use and some time."""

from __future__ import annotations

import pytest
from picloud_api.usecases.jobs.visits.visit_token import Guest, Use, Visit, VisitTokens

TOKENS = VisitTokens(b"k" * 32)
VISIT = Visit(Guest.OWNER, "0" * 12, 1_000.0)


@pytest.mark.parametrize("use", Use)
def test_a_token_says_who_visits(use: Use) -> None:
    """Until its time is over, of which a pass has little."""
    token = TOKENS.sign(use, "a", VISIT)

    assert TOKENS.read(use, "a", token, 1_000.0 + use.value - 0.1) == VISIT
    assert TOKENS.read(use, "a", token, 1_000.0 + use.value) is None
    assert Use.PASS.value <= 60


def test_a_token_is_for_one_machine_and_one_use() -> None:
    """A pass, which was in a URL, is not a cookie, and no other server has signed it."""
    token = TOKENS.sign(Use.PASS, "a", VISIT)

    assert TOKENS.read(Use.PASS, "b", token, 1_000.0) is None
    assert TOKENS.read(Use.VISIT, "a", token, 1_000.0) is None
    assert VisitTokens(b"j" * 32).read(Use.PASS, "a", token, 1_000.0) is None


def test_a_changed_token_is_none() -> None:
    """Whatever is in it."""
    token = TOKENS.sign(Use.VISIT, "a", VISIT)

    for text in (f"g{token[1:]}", token[:-1], f"{token}0", f"{token}\n", "", "x", "o.0", "\n"):
        assert TOKENS.read(Use.VISIT, "a", text, 1_000.0) is None
