"""Setup machines as a client reaches them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cloud._ssh.setup_machine import rsync, run_script, wait_for_action
from cloud.errors import CloudException

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("source", "target"), [("a", "b"), ("x:a", "y:b"), ("./x:a", "b")])
def test_rsync_copies_between_here_and_a_machine(source: str, target: str) -> None:
    """Both paths here, or both elsewhere, are refused before anything is sent."""
    with pytest.raises(CloudException, match="Exactly one path must be NAME:PATH"):
        rsync(source, target, delete=False, pipe_output=False)


def test_a_script_that_cannot_be_read_is_not_run(tmp_path: Path) -> None:
    """The error names it."""
    with pytest.raises(CloudException, match=r"missing\.sh: No such file or directory\.$"):
        run_script("plots", tmp_path / "missing.sh")


def test_a_wait_ends_with_the_action_or_with_an_invalid_one() -> None:
    """What is met in between is waited for."""
    actions = iter(["save", "edit", "idle"])

    def look() -> dict[str, object]:
        return {"name": "plots", "action": next(actions)}

    assert wait_for_action(look, "edit", ["idle"])["action"] == "edit"
    with pytest.raises(CloudException, match="in the action 'idle', which is not 'save'"):
        wait_for_action(look, "save", ["idle"])
