"""Passwords: hashed with Argon2id and a pepper."""

from __future__ import annotations

import pytest
from picloud_api.usecases.accounts.people.password import MAX_CHARACTERS, Passwords
from picloud_model.errors import RequestRefused

PASSWORDS = Passwords(b"pepper")


async def test_only_the_right_password_matches() -> None:
    """The hash names Argon2id and its parameters, has a salt, and fits one pepper only."""
    hashed, again = [await PASSWORDS.hashed("correct horse") for _ in range(2)]

    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert hashed != again
    assert await PASSWORDS.is_right("correct horse", hashed)
    assert not await PASSWORDS.is_right("correct horse ", hashed)
    assert not await Passwords(b"another").is_right("correct horse", hashed)


@pytest.mark.parametrize("password", ["", "short", "x" * (MAX_CHARACTERS + 1)])
async def test_a_password_has_a_length(password: str) -> None:
    """Short ones are refused, and so are those that take long to hash."""
    with pytest.raises(RequestRefused, match="10 to 1,000 characters"):
        await PASSWORDS.hashed(password)
    assert not await PASSWORDS.is_right(password, "")


async def test_nobodys_password_is_never_right() -> None:
    """Without a hash, one of an unknown password is compared: it takes as long."""
    assert not await PASSWORDS.is_right("correct horse", "")
    assert PASSWORDS._decoy.startswith("$argon2id$")


async def test_a_password_may_have_any_characters() -> None:
    """Those of other languages, and what no encoding has."""
    for password in ("пароль пароль", "\ud800" * 10, "\0" * 10):
        assert await PASSWORDS.is_right(password, await PASSWORDS.hashed(password))
