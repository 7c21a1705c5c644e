"""Runs `picloud` in this process."""

from __future__ import annotations

import sys
from typing import Any, Final, NamedTuple, cast

from picloud.app import app
from typer.main import get_command
from typer.testing import CliRunner

COMMAND: Final = cast("Any", get_command(app))
"""All commands, made once: `CliRunner.invoke` makes them anew for each call, in 50 ms."""


class Outcome(NamedTuple):
    """How a command ended and what it printed."""

    exit_code: int
    stdout_bytes: bytes
    stderr_bytes: bytes

    @property
    def stdout(self) -> str:
        """Standard output as text."""
        return self.stdout_bytes.decode()

    @property
    def stderr(self) -> str:
        """Standard error as text."""
        return self.stderr_bytes.decode()

    @property
    def output(self) -> str:
        """Everything that was printed, standard output first."""
        return self.stdout + self.stderr


def invoke(*arguments: str) -> Outcome:
    """Run `picloud` with arguments and without standard input."""
    with CliRunner().isolation() as (out, err, _):
        code: Any = 0
        try:
            COMMAND.main(list(arguments), prog_name="picloud")
        except SystemExit as ended:
            code = ended.code
        sys.stdout.flush()
        sys.stderr.flush()
        return Outcome(code, out.getvalue(), err.getvalue())
