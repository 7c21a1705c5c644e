"""The command line itself."""

from __future__ import annotations

import signal
import subprocess
import sys
from importlib.metadata import version

import pytest
from picloud.app import COMMANDS

from tests.unit.cli.command_runner import COMMAND, invoke

NAMES = sorted(COMMAND.commands)


def test_help_lists_every_command() -> None:
    """--help names all commands."""
    outcome = invoke("--help")

    assert outcome.exit_code == 0
    assert all(name in outcome.stdout for name in NAMES)


@pytest.mark.parametrize("command", NAMES)
def test_help_of_a_command_has_examples(command: str) -> None:
    """--help shows how a command is used."""
    outcome = invoke(command, "--help")

    assert outcome.exit_code == 0
    assert f"$ picloud {command}" in outcome.stdout


def test_the_list_of_commands_has_their_first_sentences() -> None:
    """`picloud --help` and completion do not import the commands that they list."""
    first_sentences = {
        name: command.get_short_help_str(1000) for name, command in COMMAND.commands.items()
    }

    assert {row.name: row.summary for row in COMMANDS} == first_sentences


def test_the_version_is_that_of_the_distribution() -> None:
    """--version prints it and nothing else."""
    assert invoke("--version").stdout == f"{version('picloud')}\n"


def test_a_real_process_answers_help() -> None:
    """The installed module works outside of tests, too."""
    done = subprocess.run(
        [sys.executable, "-m", "picloud", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert "picloud up" in done.stdout
    assert done.stderr == ""


def test_without_arguments_there_is_help() -> None:
    """On standard output, as it is not a mistake."""
    outcome = invoke()

    assert outcome.exit_code == 0
    assert outcome.stdout == invoke("--help").stdout
    assert all(f"  {code}  " in outcome.stdout for code in range(5))


@pytest.mark.parametrize("command", ["result", "join"])
def test_exit_codes_are_told_where_they_matter(command: str) -> None:
    """--help names them."""
    help_text = " ".join(invoke(command, "--help").stdout.split())

    assert "Exits with 3 when a job failed" in help_text
    assert "with 4 after a timeout" in help_text


def test_a_misspelt_command_is_answered_in_one_line() -> None:
    """With where help is."""
    outcome = invoke("statsu", "1")

    assert (outcome.exit_code, outcome.stdout) == (2, "")
    assert "No such command 'statsu'" in outcome.stderr
    assert outcome.stderr.endswith("Try 'picloud --help'.\n")
    assert len(outcome.stderr.splitlines()) == 1


@pytest.mark.parametrize("early", ["picloud.output", "picloud.messages"])
def test_ctrl_c_ends_a_command_that_is_still_loading(early: str) -> None:
    """At once, and without a traceback."""
    with subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "picloud", "top"],
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:  # one for each module that was imported
            if line.rstrip().endswith(f" {early}"):
                process.send_signal(signal.SIGINT)
                break
        rest = process.stderr.read()

    assert process.returncode == -signal.SIGINT
    assert "Traceback" not in rest


def test_an_installation_without_the_command_s_packages_says_how_to_get_them() -> None:
    """`pip install picloud` is for programs, and installs neither Typer nor Rich."""
    source = "import sys; sys.modules['typer'] = None; from picloud.__main__ import main; main()"

    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, timeout=60, check=False
    )

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "error: The command needs packages of its own: pip install 'picloud[cli]'.\n"
    )
