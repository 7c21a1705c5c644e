"""Slot tokens: issued for one slot, and refused when anything about them is wrong."""

from __future__ import annotations

import jwt
import pytest
from picloud_api.usecases.accounts.slot_token import AUDIENCE, SlotTokens, is_token, slot_number
from picloud_model.errors import SlotRefused

KEY = b"k" * 48


def test_a_token_names_its_slot() -> None:
    """The number for which a token was issued is read back, and the token has a token's form."""
    token = SlotTokens(KEY).issue(2**53 - 1)

    assert SlotTokens(KEY).number(token) == 2**53 - 1
    assert is_token(token)


@pytest.mark.parametrize(
    "token",
    [
        "",
        "a.b.c",
        SlotTokens(b"x" * 48).issue(7),
        SlotTokens(KEY).issue(7)[:-2],
        jwt.encode({"aud": "another", "sub": "7"}, KEY, algorithm="HS256"),
        jwt.encode({"sub": "7"}, KEY, algorithm="HS256"),
        jwt.encode({"aud": AUDIENCE}, KEY, algorithm="HS256"),
        jwt.encode({"aud": AUDIENCE, "sub": "seven"}, KEY, algorithm="HS256"),
        jwt.encode({"aud": AUDIENCE, "sub": "7"}, KEY, algorithm="HS384"),
        jwt.encode({"aud": AUDIENCE, "sub": "7"}, "", algorithm="none"),
    ],
)
def test_a_forged_token_is_refused(token: str) -> None:
    """Another key, audience, subject or algorithm is refused, as is a damaged token."""
    with pytest.raises(SlotRefused):
        SlotTokens(KEY).number(token)


def test_each_place_has_a_slot_number_of_its_own() -> None:
    """Numbers of a thousand places differ and fit into the 53 bits of a JSON number."""
    numbers = {slot_number(f"place-{at}") for at in range(1000)}

    assert len(numbers) == 1000
    assert all(0 < number < 2**53 for number in numbers)
