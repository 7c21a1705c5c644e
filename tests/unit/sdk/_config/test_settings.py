"""Settings from the environment, and those a script sets."""

from __future__ import annotations

from typing import Any

import pytest
from cloud import CloudException
from cloud._config.configuration import Config
from cloud._config.settings import ClientSettings


def test_the_environment_is_read_when_asked() -> None:
    """Each variable has its place."""
    found = ClientSettings.read(
        {
            "PICLOUD_URL": "http://x",
            "PICLOUD_API_KEY": "k",
            "PICLOUD_PROFILE": "p",
            "PICLOUD_CONFIG_DIR": "/c",
            "PICLOUD_RUNNING": "1",
            "PICLOUD_JID": "7",
        }
    )

    assert found == ClientSettings(
        url="http://x", api_key="k", profile="p", config_dir="/c", running=True, jid=7
    )


@pytest.mark.parametrize("environ", [{}, {"PICLOUD_URL": "", "PICLOUD_RUNNING": "0"}])
def test_empty_is_unset(environ: dict[str, str]) -> None:
    """An empty variable is as good as none."""
    assert ClientSettings.read(environ) == ClientSettings()


def test_config_has_the_original_defaults() -> None:
    """1 MB of arguments, three retries, no simulator."""
    config = Config()

    assert config.max_transmit_data == 1_000_000
    assert config.retry_attempts == 3
    assert config.use_simulator is False


def test_two_names_of_one_setting() -> None:
    """The documents name max_transmit_data also max_transmit_size."""
    config = Config()

    config.max_transmit_size = 2_000_000

    assert config.max_transmit_data == config.max_transmit_size == 2_000_000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_transmit_data", 0),
        ("max_transmit_data", 16_000_001),
        ("max_transmit_data", "1"),
        ("max_transmit_data", True),
        ("retry_attempts", -1),
        ("retry_attempts", 1.5),
        ("network_timeout", 0),
        ("use_simulator", 1),
    ],
)
def test_a_setting_is_checked_where_it_is_set(name: str, value: Any) -> None:
    """A wrong value is refused by name, and the old one stays."""
    config = Config()
    before = getattr(config, name)

    with pytest.raises(CloudException, match=f"cloud.config.{name}"):
        setattr(config, name, value)

    assert getattr(config, name) == before


def test_a_misspelt_setting_is_answered_with_the_nearest() -> None:
    """Setting what does not exist would be a silent mistake."""
    with pytest.raises(CloudException, match="did you mean max_transmit_data"):
        Config().max_transmit_dat = 1

    with pytest.raises(AttributeError):
        _ = Config().nothing


def test_old_scripts_warn_but_run() -> None:
    """Settings of the original that mean nothing here are taken with a warning; commit is there."""
    config = Config()

    with pytest.warns(UserWarning, match="no effect"):
        config.verbose = True
    config.commit()
