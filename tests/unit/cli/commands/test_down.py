"""`picloud down`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from picloud import exits

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_where_nothing_runs_there_is_nothing_to_stop(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    """That is not an error."""
    outcome = run("down", "--data", str(tmp_path / "none"))

    assert outcome.exit_code == exits.OK
    assert outcome.stdout == f"Nothing to stop: PiCloud is not running on {tmp_path / 'none'}.\n"
