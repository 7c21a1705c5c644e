"""The command line itself."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest
from picloud.app import app
from typer.testing import CliRunner

COMMANDS = ["up", "status", "result", "join", "kill"]


def test_help_lists_every_command() -> None:
    """--help names all commands."""
    outcome = CliRunner().invoke(app, ["--help"])

    assert outcome.exit_code == 0
    assert all(name in outcome.stdout for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_has_examples(command: str) -> None:
    """--help shows how a command is used."""
    outcome = CliRunner().invoke(app, [command, "--help"])

    assert outcome.exit_code == 0
    assert f"$ picloud {command}" in outcome.stdout


def test_the_version_is_that_of_the_distribution() -> None:
    """--version prints it and nothing else."""
    assert CliRunner().invoke(app, ["--version"]).stdout == f"{version('picloud')}\n"


def test_a_real_process_answers_help() -> None:
    """The installed module works outside of tests, too."""
    done = subprocess.run(
        [sys.executable, "-c", "from picloud.app import main; main()", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert "picloud up" in done.stdout
    assert done.stderr == ""
