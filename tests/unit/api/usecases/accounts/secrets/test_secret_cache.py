"""Values of secrets in memory."""

from __future__ import annotations

from picloud_api.usecases.accounts.secrets.secret_cache import SecretCache
from picloud_model.wire.secret import JobSecret

ONE, TWO = JobSecret({"A": "1234"}), JobSecret({"A": "12345"})


def test_a_value_counts_until_its_secret_is_set_again() -> None:
    """One of another time is not returned, nor one that was dropped."""
    cache = SecretCache()
    cache.put("users/a/db", 1.0, ONE)

    assert cache.get("users/a/db", 1.0) == ONE
    assert cache.get("users/a/db", 2.0) is None
    assert cache.get("users/b/db", 1.0) is None
    cache.put("users/a/db", 2.0, TWO)
    assert cache.get("users/a/db", 2.0) == TWO
    cache.drop("users/a/db")
    cache.drop("users/a/db")
    assert cache.get("users/a/db", 2.0) is None


def test_what_was_used_longest_ago_has_to_go() -> None:
    """However often values are replaced, and also one that alone is too large."""
    cache = SecretCache(max_bytes=11)
    for at in range(5):
        cache.put("users/a/db", at, ONE)
    cache.put("users/b/db", 1.0, TWO)
    assert cache.get("users/a/db", 4) == ONE

    cache.put("users/c/db", 1.0, ONE)

    assert cache.get("users/b/db", 1.0) is None
    assert (cache.get("users/a/db", 4), cache.get("users/c/db", 1.0)) == (ONE, ONE)
    cache.put("users/d/db", 1.0, JobSecret({"A": "1" * 11}))
    assert cache.get("users/d/db", 1.0) is None
    assert cache.get("users/c/db", 1.0) is None
