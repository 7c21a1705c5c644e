"""API keys from Python and from the shell, on both stacks."""

from __future__ import annotations

import contextlib
import json
import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import pytest
from cloud import account
from cloud.errors import CloudException

from tests.current_client import current_client
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloud._client.client import Client

    from tests.e2e.command_line import Exited
    from tests.e2e.stacks import Stack

LASTED_S: Final = 3.0
"""How long a wait takes at least until its credential is checked again, and one second more."""


@pytest.fixture
def current(client: Client) -> Iterator[Client]:
    """The client of `cloud`'s functions."""
    with current_client(client):
        yield client


def test_keys_from_python(current: Client, stack: Stack) -> None:
    """A key is made, used, listed and deactivated; then it opens nothing."""
    made = account.create_key()
    with contextlib.closing(stack.client(made["key"])) as with_it:
        assert with_it.result(with_it.call(abs, -3), 60) == 3
        assert made["api_key"] in account.list_keys()
        assert account.get_key(made["key"])["active"]
        listed = account.get_key_by_key(made["api_key"], made["api_secretkey"])
        assert listed["api_key"] == made["api_key"]

        account.deactivate_key(made["api_key"])

        until(lambda: refused(with_it), "the key is refused", 30.0)
        assert made["api_key"] not in account.list_keys(active_only=True)
        with pytest.raises(CloudException, match="does not know this API key"):
            account.get_key_by_key(made["api_key"], made["api_secretkey"])
        account.activate_key(made["api_key"])
        until(lambda: not refused(with_it), "the key is taken again", 30.0)
    with pytest.raises(CloudException, match="No such API key"):
        account.get_key("0" * 12)


def refused(client: Client) -> bool:
    """Return whether the server refuses a client's key."""
    try:
        client.check_key()
    except CloudException as error:
        return "does not know this API key" in str(error)
    return False


def test_a_wait_under_way_tells_nothing_to_a_revoked_key(client: Client, stack: Stack) -> None:
    """A long poll that began before its key was deactivated is refused afterwards."""
    gate = stack.shared / f"gate-{uuid4().hex}"
    gate.touch()

    def hold() -> None:
        while gate.exists():
            time.sleep(0.02)

    made = client.keys.create().key
    jid = client.call(hold)
    with contextlib.closing(stack.client(made)) as with_it, ThreadPoolExecutor() as threads:
        waiting = threads.submit(with_it.result, jid, 60)
        with pytest.raises(FutureTimeoutError):
            waiting.result(LASTED_S)
        client.keys.set_active(made.split("_")[1], active=False)
        gate.unlink()

        with pytest.raises(CloudException, match="does not know this API key"):
            waiting.result(60)
    assert client.result(jid, 60) is None


def test_keys_from_the_shell(picloud: Callable[..., Exited], stack: Stack) -> None:
    """`picloud key` prints a new key once, and no list shows it."""
    key = picloud("key", "create").out.strip()
    name, secret = key.split("_", 2)[1:]

    listed = picloud("key", "list")
    own = picloud("key", "deactivate", stack.key)
    done = picloud("key", "deactivate", name)

    assert name in listed.out
    assert secret not in listed.out
    assert (own.code, "another key" in own.err) == (1, True)
    assert (done.code, done.err) == (0, f"Key {name} is deactivated.\n")
    shown = json.loads(picloud("-o", "json", "key", "list").out)
    assert {each["id"]: each["active"] for each in shown}[name] is False


def test_accounts_from_the_shell(picloud: Callable[..., Exited], stack: Stack) -> None:
    """An administrator makes an account; its key opens that account and administers nothing."""
    made = json.loads(picloud("account", "create", "data science", "--json").out)

    assert "data science" in picloud("account", "list").out
    mine = picloud("--api-key", made["key"], "key", "list", "--json")
    assert [each["own"] for each in json.loads(mine.out)] == [True]
    refused = picloud("--api-key", made["key"], "account", "list")
    assert (refused.code, "administrator" in refused.err) == (1, True)
    with contextlib.closing(stack.client(made["key"])) as theirs:
        assert theirs.call(abs, 1) == 1
        assert theirs.kill() == 1
