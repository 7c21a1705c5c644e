"""Settings from the environment."""

from __future__ import annotations

import pytest
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
            "TERM": "dumb",
        }
    )

    assert found == ClientSettings(
        url="http://x",
        api_key="k",
        profile="p",
        config_dir="/c",
        running=True,
        jid=7,
        dumb_terminal=True,
    )


@pytest.mark.parametrize("environ", [{}, {"PICLOUD_URL": "", "PICLOUD_RUNNING": "0"}])
def test_empty_is_unset(environ: dict[str, str]) -> None:
    """An empty variable is as good as none."""
    assert ClientSettings.read(environ) == ClientSettings()
