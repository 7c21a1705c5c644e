"""Which server and API key a command uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cloud import CloudException
from cloud._client.current import current
from cloud._config import profile
from picloud.server_choice import ServerChoice

from tests.current_client import current_client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A profile `work`, and no client yet."""
    monkeypatch.setenv("PICLOUD_CONFIG_DIR", str(tmp_path))
    profile.write(tmp_path / "profiles.toml", "work", profile.Profile("http://work", "pk_1_a"))
    with current_client():
        yield


def test_a_profile_gives_server_and_key() -> None:
    """Both are used by `cloud` from then on."""
    ServerChoice(profile="work").apply()

    assert (current.url, current.key) == ("http://work", "pk_1_a")


def test_a_key_replaces_that_of_the_profile() -> None:
    """The server stays that of the profile."""
    ServerChoice(profile="work", api_key="2", api_secretkey="b").apply()

    assert (current.url, current.key) == ("http://work", "pk_2_b")


def test_without_options_nothing_is_chosen() -> None:
    """The environment and the default profile decide."""
    ServerChoice().apply()

    assert (current.url, current.key) == (None, None)


def test_a_secret_needs_its_id() -> None:
    """A secret alone is an error."""
    with pytest.raises(CloudException, match="--api-secretkey needs --api-key"):
        ServerChoice(api_secretkey="b").apply()


def test_the_key_is_not_in_the_repr() -> None:
    """Nor is the secret."""
    text = repr(ServerChoice(api_key="pk_1_hidden", api_secretkey="hidden"))

    assert "hidden" not in text
