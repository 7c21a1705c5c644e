"""The installed command `picloud`, run as a process without a terminal."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

PICLOUD: Final = str(Path(sys.executable).with_name("picloud"))


class Exited:
    """A command that has ended: its exit code and what it wrote."""

    def __init__(self, process: subprocess.CompletedProcess[bytes]) -> None:
        self.code = process.returncode
        self.data = process.stdout
        self.out = process.stdout.decode(errors="replace")
        self.err = process.stderr.decode()


def run(
    environment: Mapping[str, str], *arguments: str, given: bytes = b"", timeout_s: float = 90
) -> Exited:
    """Run the command to its end, without a terminal.

    It keeps its compiled modules, as those of users do, and so starts faster.
    """
    kept = {name: environment[name] for name in environment if name != "PYTHONDONTWRITEBYTECODE"}
    return Exited(
        subprocess.run(
            [PICLOUD, *arguments],
            env=kept,
            input=given,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
    )
