"""What `import cloud` exports."""

from __future__ import annotations

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
