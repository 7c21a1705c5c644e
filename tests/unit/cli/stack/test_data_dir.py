"""Default data directories."""

from __future__ import annotations

from picloud.stack.data_dir import StackName, default


def test_stacks_do_not_share_a_directory() -> None:
    """Their data cannot be mixed."""
    assert len({default(stack) for stack in StackName}) == len(StackName)
