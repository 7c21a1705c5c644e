"""The command line itself."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from typing import Any, cast

import pytest
from picloud.app import app
from typer.main import get_command
from typer.testing import CliRunner

COMMANDS = sorted(cast("Any", get_command(app)).commands)


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


def test_without_arguments_there_is_help() -> None:
    """On standard output, as it is not a mistake."""
    outcome = CliRunner().invoke(app, [])

    assert outcome.exit_code == 0
    assert outcome.stdout == CliRunner().invoke(app, ["--help"]).stdout
    assert all(f"  {code}  " in outcome.stdout for code in range(5))


@pytest.mark.parametrize("command", ["result", "join"])
def test_exit_codes_are_told_where_they_matter(command: str) -> None:
    """--help names them."""
    help_text = " ".join(CliRunner().invoke(app, [command, "--help"]).stdout.split())

    assert "Exits with 3 when a job failed" in help_text
    assert "with 4 after a timeout" in help_text


def test_a_misspelt_command_is_answered_in_one_line() -> None:
    """With where help is."""
    outcome = CliRunner().invoke(app, ["statsu", "1"], prog_name="picloud")

    assert (outcome.exit_code, outcome.stdout) == (2, "")
    assert "No such command 'statsu'" in outcome.stderr
    assert outcome.stderr.endswith("Try 'picloud --help'.\n")
    assert len(outcome.stderr.splitlines()) == 1
