"""Signing keys are made once, each under the name that it has always had."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_api.usecases.accounts.signing_key import signing_key, signing_keys

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness


async def test_every_start_reads_the_same_keys(api: ApiHarness) -> None:
    """They differ from each other; that of slots is stored by an older name."""
    secrets = api.server.ports.secrets
    keys = await signing_keys(secrets)

    assert keys == await signing_keys(secrets)
    each = [getattr(keys, field) for field in keys.__struct_fields__]
    assert {len(key) for key in each} == {32}
    assert len(set(each)) == len(each)
    assert keys.slot == await signing_key(secrets, "token")
