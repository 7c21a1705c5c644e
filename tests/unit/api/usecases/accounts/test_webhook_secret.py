"""Secrets of webhooks: one for each account, which signs time and body, and can be replaced."""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import TYPE_CHECKING

from picloud_api.usecases.accounts.webhook_secret import OVERLAP_S, WebhookSecrets

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness


def made(api: ApiHarness, key: bytes = b"key") -> WebhookSecrets:
    """Return the secrets that are made of a key."""
    return WebhookSecrets(api.server.context, key)


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """Return a signature as the documentation describes it."""
    signed = f"{timestamp}.".encode() + body
    return f"v1={hmac.new(secret.encode(), signed, sha256).hexdigest()}"


async def test_each_account_has_a_secret_of_its_own(api: ApiHarness) -> None:
    """It depends on the key of the server, and stays the same."""
    secrets = made(api)

    assert await secrets.of("a1") == await made(api).of("a1")
    others = await secrets.of("a2"), await made(api, b"other").of("a1")
    assert len({await secrets.of("a1"), *others}) == 3


async def test_a_signature_is_of_the_time_and_the_body(api: ApiHarness) -> None:
    """As the documentation describes it."""
    secrets = made(api)
    secret = await secrets.of("a1")

    for timestamp in (1796083200, 1796083201):
        signed = await secrets.signatures("a1", timestamp, b"{}")
        assert signed == signature(secret, timestamp, b"{}")


async def test_a_secret_that_was_replaced_signs_for_a_day(api: ApiHarness) -> None:
    """Along with the new one, of this account alone; then the new one signs alone."""
    secrets = made(api)
    old, other = await secrets.of("a1"), await secrets.of("a2")

    new = await secrets.rotate("a1", "1" * 32)

    assert new == await secrets.of("a1") != old
    assert await secrets.of("a2") == other
    both = f"{signature(new, 5, b'{}')} {signature(old, 5, b'{}')}"
    assert await secrets.signatures("a1", 5, b"{}") == both
    api.now += OVERLAP_S
    assert await secrets.signatures("a1", 5, b"{}") == signature(new, 5, b"{}")


async def test_a_secret_is_ended_at_once_by_replacing_it_twice(api: ApiHarness) -> None:
    """A request that is repeated replaces it once."""
    secrets = made(api)
    old = await secrets.of("a1")
    first = await secrets.rotate("a1", "1" * 32)
    assert await secrets.rotate("a1", "1" * 32) == first

    await secrets.rotate("a1", "2" * 32)

    signed = await secrets.signatures("a1", 5, b"{}")
    assert signature(first, 5, b"{}") in signed
    assert signature(old, 5, b"{}") not in signed
