"""`cloud.account`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from cloud import CloudException, account

from tests.current_client import current_client
from tests.unit.sdk.fake_server import FakeServer, client_for

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def server() -> Iterator[FakeServer]:
    """A server in this process that `cloud` uses."""
    fake = FakeServer()
    with current_client(client_for(fake)):
        yield fake


def test_a_created_key_is_whole_and_in_parts() -> None:
    """Its secret is shown only now."""
    assert account.create_key() == {
        "api_key": "000000000001",
        "api_secretkey": "secret",
        "key": "pk_000000000001_secret",
        "active": True,
    }
    assert account.list_keys() == ["12ab", "000000000001"]


def test_a_key_can_be_deactivated_and_activated() -> None:
    """By its id or as a whole."""
    key = account.create_key()["key"]

    account.deactivate_key(key)
    assert account.list_keys(active_only=True) == ["12ab"]
    assert not account.get_key(key)["active"]
    account.activate_key("000000000001")

    assert account.get_key(key)["active"]


def test_a_key_has_a_time_of_creation() -> None:
    """With a time zone."""
    assert account.get_key("12ab")["created"] == datetime.fromtimestamp(100.0, UTC)


def test_an_unknown_key_is_an_error() -> None:
    """Also before anything is changed."""
    with pytest.raises(CloudException):
        account.get_key("ffff")


def test_an_argument_is_named_behind_a_user_name_and_a_password() -> None:
    """Which functions take in front of their own."""
    with pytest.raises(TypeError, match="'activ_only'; did you mean active_only") as caught:
        account.list_keys("me", "pass", activ_only=True)  # type: ignore[call-arg]
    assert caught.tb.tb_next is None


def test_what_cannot_be_a_key_is_refused_here() -> None:
    """With what a key looks like."""
    with pytest.raises(CloudException, match="'abc' is not a valid key id: give a key, or"):
        account.deactivate_key("abc")
