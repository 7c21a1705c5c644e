"""`cloud.shortcuts`."""

from __future__ import annotations

from cloud import shortcuts, wait_for


def test_old_names_are_the_functions_of_today() -> None:
    """`get_connection_info` is `cloud.wait_for.port`."""
    assert shortcuts.get_connection_info is wait_for.port
