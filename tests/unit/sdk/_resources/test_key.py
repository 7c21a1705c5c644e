"""API keys and accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cloud._resources.key import KeyClient, id_of

from tests.unit.sdk.fake_server import transport_for

if TYPE_CHECKING:
    from tests.unit.sdk.fake_server import FakeServer


def test_each_request_for_a_key_has_an_id_of_its_own(server: FakeServer) -> None:
    """A repeated request returns the same key, another request another key."""
    keys = KeyClient(transport_for(server))

    assert keys.create().key != keys.create().key
    assert len({sent.body for sent in server.sent}) == 2


def test_a_key_can_be_deactivated(server: FakeServer) -> None:
    """It stays in the list of all keys."""
    keys = KeyClient(transport_for(server))
    key_id = id_of(keys.create().key)

    assert not keys.set_active(key_id, active=False).active
    assert [key.id for key in keys.list(active_only=True)] == ["12ab"]
    assert len(keys.list()) == 2


def test_accounts_can_be_created_and_listed(server: FakeServer) -> None:
    """For administrators."""
    keys = KeyClient(transport_for(server))

    assert keys.create_account("lab").account == "a2"
    assert [account.name for account in keys.accounts().accounts] == ["first", "lab"]


@pytest.mark.parametrize("key", ["12ab", "pk_12ab_secret"])
def test_the_id_of_a_key(key: str) -> None:
    """Of a whole key or of an id."""
    assert id_of(key) == "12ab"
