"""Scripts for the original client: what they import, pass and expect."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import cloud
import pytest
from cloud import CloudException, CloudTimeoutError, pool_interface

from tests.current_client import current_client

if TYPE_CHECKING:
    from cloud._client.client import Client

WAIT_S = 60.0


def inverse(number: int) -> float:
    """Fail for 0."""
    return 1 / number


def test_the_functions_of_a_pool(client: Client) -> None:
    """`cloud.pool_interface`: as `multiprocessing.Pool`, with jobs as processes."""
    with current_client(client):
        assert pool_interface.apply(pow, (2, 10)) == 1024
        assert pool_interface.apply(int, ("ff",), {"base": 16}) == 255
        assert pool_interface.map(abs, [-1, 2]) == [1, 2]
        assert list(pool_interface.imap(abs, range(-3, 0))) == [3, 2, 1]
        assert sorted(pool_interface.imap_unordered(abs, range(-3, 0))) == [1, 2, 3]
        good, bad = pool_interface.map_async(abs, [-1]), pool_interface.apply_async(inverse, (0,))
        good.wait(WAIT_S)
        bad.wait(WAIT_S)
        assert (good.ready(), good.successful(), bad.successful()) == (True, True, False)
        with pytest.raises(CloudException, match="division by zero"):
            bad.get(WAIT_S)
        slow = pool_interface.apply_async(time.sleep, (600,))
        with pytest.raises(CloudTimeoutError):
            slow.get(0)
        assert not slow.ready()
        cloud.kill()


def test_credentials_of_the_account_are_taken(client: Client) -> None:
    """`cloud.account` functions take a user name and a password first, and need neither."""
    with current_client(client):
        made = cloud.account.create_key("user", "password")
        key = made["api_key"]

        assert key in cloud.account.list_keys("user", "password")
        assert cloud.account.get_key("user", "password", key)["active"]
        cloud.account.deactivate_key("user", "password", key)
        assert key not in cloud.account.list_keys("user", "password", True)
        assert key not in cloud.account.list_keys(username="u", password="p", active_only=True)
        cloud.account.activate_key("user", "password", key)
        assert cloud.account.get_key(key)["active"]


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.call(5),
        lambda client: client.call(inverse),
        lambda client: client.call(inverse, 1, 2),
        lambda client: client.call(inverse, nothing=1),
        lambda client: client.map(5, [1]),
        lambda client: client.map(inverse),
        lambda client: client.map(inverse, 7),
        lambda client: client.map(inverse, [1], [2]),
        lambda client: client.status("7"),
        lambda client: client.result(None),
        lambda client: client.join([1, "2"]),
        lambda client: client.result(1, timeout="soon"),
        lambda client: client.info(1.5),
        lambda client: client.kill("all"),
        lambda client: client.call(inverse, 1, _cores="two"),
        lambda client: client.call(inverse, 1, _label=7),
        lambda client: client.call(inverse, 1, _callback="print"),
    ],
)
def test_wrong_arguments_are_a_type_error_at_once(client: Client, call: Any) -> None:
    """Nothing is sent, and the sentence names what was passed."""
    with pytest.raises(TypeError) as caught:
        call(client)

    assert isinstance(caught.value, CloudException)
