"""`cloud.shortcuts.ssh`."""

from __future__ import annotations

from cloud.shortcuts import ssh


def test_the_module_shows_what_users_call() -> None:
    """The name that the original client had, and nothing else."""
    assert dir(ssh) == ["get_ssh_info"]
