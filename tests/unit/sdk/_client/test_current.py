"""Which client `cloud`'s functions use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cloud
import pytest
from cloud import CloudException
from cloud._client.current import CurrentClient, client, current
from cloud._config import profile
from cloud._config.profile import Profile
from cloud._config.settings import ClientSettings
from cloud._http.transport import ServerAddress

from tests.current_client import current_client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No environment, no profile and no client of another test."""
    for name in ("URL", "API_KEY", "PROFILE", "RUNNING", "JID"):
        monkeypatch.delenv(f"PICLOUD_{name}", raising=False)
    monkeypatch.setenv("PICLOUD_CONFIG_DIR", str(tmp_path))
    with current_client():
        yield


def _write(name: str, url: str, key: str) -> None:
    profile.write(profile.path(ClientSettings.read()), name, Profile(url, key))


def test_without_a_server_the_way_to_one_is_told() -> None:
    """Nothing set, no profile: the first call says what to do."""
    with pytest.raises(CloudException, match=r"picloud up.*start_simulator"):
        cloud.call(pow, 2, 10)


def test_the_default_profile_is_used() -> None:
    """After `picloud up` there is nothing to set."""
    _write("local", "http://local", "pk_1_a")

    assert client().address == ServerAddress("http://local", "pk_1_a")


def test_a_profile_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """PICLOUD_PROFILE picks one."""
    _write("work", "http://work", "pk_2_b")
    _write("local", "http://local", "pk_1_a")
    monkeypatch.setenv("PICLOUD_PROFILE", "work")

    assert client().address.url == "http://work"


def test_the_environment_wins_over_the_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    """PICLOUD_URL and PICLOUD_API_KEY need no profile."""
    _write("local", "http://local", "pk_1_a")
    monkeypatch.setenv("PICLOUD_URL", "http://env")
    monkeypatch.setenv("PICLOUD_API_KEY", "pk_3_c")

    assert (client().address.url, client().address.key) == (
        "http://env",
        "pk_3_c",
    )


def test_a_profiles_key_is_not_sent_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A URL from the environment does not get the key of another server."""
    _write("local", "http://local", "pk_1_a")
    monkeypatch.setenv("PICLOUD_URL", "http://evil")

    with pytest.raises(CloudException, match="no API key for http://evil"):
        client()


def test_setkey_takes_a_whole_key_or_its_halves() -> None:
    """The original's order: id, then secret."""
    cloud.setkey("pk_9_z", server_url="http://x")
    whole = client().address
    cloud.setkey(9, "z")
    halves = client().address

    assert whole == halves
    assert whole.key == "pk_9_z"


@pytest.mark.parametrize("key", ["abc", "pk_12ab", "pk__secret", "12ab_secret", ""])
def test_setkey_refuses_what_is_not_a_key(key: str) -> None:
    """At once, without showing it; key and server stay what they were."""
    cloud.setkey("pk_9_z", server_url="http://x")

    with pytest.raises(CloudException, match=r"not a valid API key: a key looks like pk_ID") as bad:
        cloud.setkey(key)
    with pytest.raises(CloudException, match="'x:8787' is not a valid server URL"):
        cloud.setkey("pk_1_a", server_url="x:8787")

    assert not key or f"'{key}'" not in str(bad.value)
    assert (client().address.url, client().address.key) == ("http://x", "pk_9_z")


def test_setkey_changes_the_key_for_a_known_server() -> None:
    """The URL stays that of the profile."""
    _write("local", "http://local", "pk_1_a")

    cloud.setkey("pk_2_b")

    assert (client().address.url, client().address.key) == (
        "http://local",
        "pk_2_b",
    )


def test_setkey_before_any_server_is_known_is_no_error() -> None:
    """Old scripts set a key and then start the simulator."""
    cloud.setkey(1234, "abc")


def test_a_job_knows_that_it_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment is read each time, as a process runs one job after another."""
    assert not cloud.running_on_cloud()
    monkeypatch.setenv("PICLOUD_RUNNING", "1")
    assert cloud.running_on_cloud()


def test_a_simulator_runs_jobs_and_leaves_nothing() -> None:
    """The same functions, on this machine; the directory is deleted afterwards."""
    cloud.start_simulator()
    assert current.simulator is not None
    data = current.simulator._data

    value = cloud.result(cloud.call(pow, 2, 10), timeout=60)
    cloud.start_simulator()
    same = current.simulator._data == data
    cloud.close()

    assert value == 1024
    assert same
    assert not data.exists()
    assert not cloud.is_simulated()


def test_an_immutable_key_stays() -> None:
    """`setkey(immutable=True)`: later keys are ignored, with a warning in the log."""
    chosen = CurrentClient()

    chosen.choose("http://one", "pk_1_a", immutable=True)
    chosen.choose("http://two", "pk_2_b")

    assert (chosen.url, chosen.key) == ("http://one", "pk_1_a")
