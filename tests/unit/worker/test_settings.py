"""The settings of a worker."""

from __future__ import annotations

from pathlib import Path

import pytest
from picloud_worker import settings

REQUIRED = ("--url", "http://a", "--proof-fd", "3", "--place", "p")


def test_defaults_are_the_current_directory_and_its_user() -> None:
    """Without options a slot works in the current directory, and jobs run as its user."""
    configured = settings.read(REQUIRED, {})

    assert configured == settings.WorkerSettings(
        url="http://a", proof_fd=3, place="p", workdir=Path.cwd()
    )


def test_only_an_option_drops_rights() -> None:
    """Jobs run as a user of their own where the command line says so, in containers."""
    assert settings.read([*REQUIRED, "--drop"], {}).drops


def test_the_environment_arms_a_crash_point() -> None:
    """Nothing else is read from the environment."""
    environment = {"PICLOUD_CRASHPOINT": "worker.ran", "PICLOUD_URL": "http://b"}

    configured = settings.read(REQUIRED, environment)

    assert (configured.crashpoint, configured.url) == ("worker.ran", "http://a")


@pytest.mark.parametrize("missing", [0, 2, 4])
def test_what_is_required_has_no_default(missing: int, capsys: pytest.CaptureFixture[str]) -> None:
    """A missing option ends the program with a message that names it."""
    arguments = [*REQUIRED[:missing], *REQUIRED[missing + 2 :]]

    with pytest.raises(SystemExit):
        settings.read(arguments, {})

    assert REQUIRED[missing] in capsys.readouterr().err
