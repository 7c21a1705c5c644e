"""What `import cloud` exports."""

from __future__ import annotations

from importlib.metadata import version

import cloud
import pytest

MEMBERS = [
    "CloudConnectionError",
    "CloudException",
    "CloudTimeoutError",
    "CloudTypeError",
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
    "jobs",
    "join",
    "kill",
    "map",
    "mp",
    "result",
    "running_on_cloud",
    "set_dependency_whitelist",
    "setkey",
    "shell",
    "shortcuts",
    "start_simulator",
    "status",
    "wait_for",
]


def test_what_is_exported_is_what_is_documented() -> None:
    """Nothing more, nothing less."""
    assert sorted(cloud.__all__) == MEMBERS


@pytest.mark.parametrize("name", [name for name in MEMBERS if name != "config"])
def test_every_member_explains_itself(name: str) -> None:
    """help() has something to say."""
    assert getattr(cloud, name).__doc__


def test_users_see_public_names() -> None:
    """A traceback says cloud.CloudException, not where it is defined."""
    assert cloud.CloudException.__module__ == "cloud"


def test_completion_shows_what_users_call() -> None:
    """Every member, and nothing of the SDK's own rooms."""
    shown = dir(cloud)

    assert set(MEMBERS) <= set(shown)
    assert "__version__" in shown
    assert {"errors", "command", "functions", "client"}.isdisjoint(shown)
    assert not [name for name in shown if name.startswith("_") and name != "__version__"]


def test_the_version_is_that_of_the_distribution() -> None:
    """As `pip` shows it."""
    assert cloud.__version__ == version("picloud")
