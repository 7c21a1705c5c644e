"""The functions of `import cloud`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cloud
import pytest
from cloud import CloudException
from cloud._client import functions
from cloud._config import profile
from cloud._config.profile import Profile
from cloud._config.settings import Settings
from cloud._http import transport

from tests.unit.sdk.stand_in import ADDRESS, StandIn, client_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MEMBERS = [
    "CloudConnectionError",
    "CloudException",
    "CloudTimeoutError",
    "account",
    "call",
    "close",
    "config",
    "connection_info",
    "delete",
    "info",
    "iresult",
    "iresult_unordered",
    "is_simulated",
    "join",
    "kill",
    "map",
    "mp",
    "result",
    "running_on_cloud",
    "setkey",
    "shell",
    "shortcuts",
    "start_simulator",
    "status",
    "wait_for",
]


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No environment, no profile and no client of another test."""
    for name in ("URL", "API_KEY", "PROFILE", "RUNNING", "JID"):
        monkeypatch.delenv(f"PICLOUD_{name}", raising=False)
    monkeypatch.setenv("PICLOUD_CONFIG_DIR", str(tmp_path))
    monkeypatch.setattr(functions, "_current", functions._Current())
    yield
    cloud.close()


def _write(name: str, url: str, key: str) -> None:
    profile.write(profile.path(Settings.read()), name, Profile(url, key))


def test_what_is_exported_is_what_is_documented() -> None:
    """Nothing more, nothing less, in alphabetical order."""
    assert cloud.__all__ == MEMBERS == sorted(MEMBERS)


@pytest.mark.parametrize("name", [name for name in MEMBERS if name != "config"])
def test_every_member_explains_itself(name: str) -> None:
    """help() has something to say."""
    assert getattr(cloud, name).__doc__


def test_users_see_public_names() -> None:
    """A traceback says cloud.CloudException, not where it is defined."""
    assert cloud.CloudException.__module__ == "cloud"


def test_the_functions_are_the_current_clients() -> None:
    """call, map, status, join, result and kill all go to one client."""
    server = StandIn()
    functions._current.client = client_of(server)

    jid = cloud.call(pow, 2, 10)
    jids = cloud.map(abs, [-1, 2])
    for each, value in ((1, 1024), (2, 1), (3, 2)):
        server.done(each, value)
    cloud.join(jids)
    cloud.kill(jid)

    assert (jid, jids) == (1, range(2, 4))
    assert cloud.status(jid) == "done"
    assert cloud.result(jids) == [1, 2]
    assert server.killed == [[(1, 1)]]


def test_without_a_server_the_way_to_one_is_told() -> None:
    """Nothing set, no profile: the first call says what to do."""
    with pytest.raises(CloudException, match=r"picloud up.*start_simulator"):
        cloud.call(pow, 2, 10)


def test_the_default_profile_is_used() -> None:
    """After `picloud up` there is nothing to set."""
    _write("local", "http://local", "pk_1_a")

    assert functions.client().address == transport.ServerAddress("http://local", "pk_1_a")


def test_a_profile_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """PICLOUD_PROFILE picks one."""
    _write("work", "http://work", "pk_2_b")
    _write("local", "http://local", "pk_1_a")
    monkeypatch.setenv("PICLOUD_PROFILE", "work")

    assert functions.client().address.url == "http://work"


def test_the_environment_wins_over_the_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    """PICLOUD_URL and PICLOUD_API_KEY need no profile."""
    _write("local", "http://local", "pk_1_a")
    monkeypatch.setenv("PICLOUD_URL", "http://env")
    monkeypatch.setenv("PICLOUD_API_KEY", "pk_3_c")

    assert (functions.client().address.url, functions.client().address.key) == (
        "http://env",
        "pk_3_c",
    )


def test_a_profiles_key_is_not_sent_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A URL from the environment does not get the key of another server."""
    _write("local", "http://local", "pk_1_a")
    monkeypatch.setenv("PICLOUD_URL", "http://evil")

    with pytest.raises(CloudException, match="no API key for http://evil"):
        functions.client()


def test_setkey_takes_a_whole_key_or_its_halves() -> None:
    """The original's order: id, then secret."""
    cloud.setkey("pk_9_z", server_url="http://x")
    whole = functions.client().address
    cloud.setkey(9, "z")
    halves = functions.client().address

    assert whole == halves
    assert whole.key == "pk_9_z"


def test_setkey_changes_the_key_for_a_known_server() -> None:
    """The URL stays that of the profile."""
    _write("local", "http://local", "pk_1_a")

    cloud.setkey("pk_2_b")

    assert (functions.client().address.url, functions.client().address.key) == (
        "http://local",
        "pk_2_b",
    )


def test_setkey_before_any_server_is_known_is_no_error() -> None:
    """Old scripts set a key and then start the simulator."""
    cloud.setkey(1234, "abc")


def test_a_job_knows_that_it_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read when asked, as a slot's process runs one job after the other."""
    assert not cloud.running_on_cloud()
    monkeypatch.setenv("PICLOUD_RUNNING", "1")
    assert cloud.running_on_cloud()


def test_connection_info_has_no_secret() -> None:
    """It tells where jobs go, and which key without giving it away."""
    functions._current.client = client_of(StandIn())

    info = cloud.connection_info()

    assert info["server_url"] == ADDRESS.url
    assert info["api_key"] == "12ab"
    assert "secret" not in str(info)
    assert not cloud.is_simulated()
