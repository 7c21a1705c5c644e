"""A script that starts a simulator, run as a process whose temporary files are in one place."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from tests.e2e.foreground import environment, wait_until_gone
from tests.polling import until

if TYPE_CHECKING:
    from pathlib import Path


def start_script(tmp_path: Path, source: str) -> subprocess.Popen[str]:
    """Start a script whose temporary files are in `tmp_path / "tmp"`."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    script = tmp_path / "script.py"
    script.write_text(source)
    return subprocess.Popen(
        [sys.executable, str(script)],
        env=environment(tmp_path) | {"TMPDIR": str(temporary)},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until_nothing_is_left(tmp_path: Path) -> None:
    """Wait until neither a process nor a file of the simulator is left."""
    wait_until_gone(tmp_path / "tmp")
    until(lambda: not list((tmp_path / "tmp").iterdir()), "no file is left", 30)
