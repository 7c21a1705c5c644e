"""The job token: what it says is signed by the slot, and a forgery is noticed."""

from __future__ import annotations

import pytest
from picloud_model.token import JobToken, same, slot_key

TOKEN = JobToken("a0000001", slot=7, jid=12, attempt=1)
KEY = slot_key(b"secret", "a0000001", 7)


def test_a_signed_token_is_read() -> None:
    """With the signature that the server compares."""
    assert JobToken.read(TOKEN.signed(KEY)) == (TOKEN, TOKEN.mac(KEY))


@pytest.mark.parametrize(
    "other",
    [
        JobToken("a0000002", slot=7, jid=12, attempt=1),
        JobToken("a0000001", slot=8, jid=12, attempt=1),
        JobToken("a0000001", slot=7, jid=13, attempt=1),
        JobToken("a0000001", slot=7, jid=12, attempt=2),
    ],
)
def test_each_part_is_signed(other: JobToken) -> None:
    """A token for another account, slot, job or attempt has another signature."""
    assert not same(other.mac(KEY), TOKEN.mac(KEY))
    assert same(TOKEN.mac(KEY), TOKEN.mac(KEY))


def test_each_slot_and_account_has_its_own_key() -> None:
    """A slot cannot sign for another account or another slot."""
    keys = {slot_key(b"secret", account, slot) for account in ("a1", "a2") for slot in (1, 2)}

    assert len(keys) == 4
    assert slot_key(b"another", "a0000001", 7) != KEY


@pytest.mark.parametrize(
    "text",
    [
        "",
        TOKEN.signed(KEY)[:-1],
        TOKEN.signed(KEY) + "0",
        TOKEN.signed(KEY) + "\n",
        TOKEN.signed(KEY).upper(),
        TOKEN.signed(KEY).replace("pj_", "pk_"),
    ],
)
def test_another_text_is_no_token(text: str) -> None:
    """It is not read at all."""
    assert JobToken.read(text) is None
