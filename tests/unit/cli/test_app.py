"""The command line itself."""

from __future__ import annotations

import signal
import subprocess
import sys
from importlib.metadata import version

import pytest
from cloud import CloudException
from picloud.app import interruption, message_of

from tests.unit.cli.command_runner import COMMAND, invoke

COMMANDS = sorted(COMMAND.commands)


def test_help_lists_every_command() -> None:
    """--help names all commands."""
    outcome = invoke("--help")

    assert outcome.exit_code == 0
    assert all(name in outcome.stdout for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_has_examples(command: str) -> None:
    """--help shows how a command is used."""
    outcome = invoke(command, "--help")

    assert outcome.exit_code == 0
    assert f"$ picloud {command}" in outcome.stdout


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


@pytest.mark.parametrize(
    ("of_the_module", "of_the_command"),
    [
        ("c1 may have 1 core (_cores), not 2.", "c1 may have 1 core (--cores), not 2."),
        ("Leave out _env.", "Leave out --env."),
        ("_os_env_vars must have names.", "--os-env must have names."),
        ("_depends_on_errors and _depends_on", "--depends-on-errors and --depends-on"),
        ("_max_runtime must be more than 0.", "--max-runtime must be more than 0."),
        ("There is no volume '_type': see x_type.", "There is no volume '_type': see x_type."),
        ("set one with `picloud setup` or cloud.setkey().", "set one with `picloud setup`."),
    ],
)
def test_errors_name_options_as_the_command_does(of_the_module: str, of_the_command: str) -> None:
    """Those of `cloud.call` begin with an underscore; what a user has named stays as it is."""
    assert message_of(CloudException(of_the_module)) == of_the_command


def test_usage_errors_name_options_in_one_way() -> None:
    """Whether the library has found the mistake or this command."""
    of_the_library = invoke("jobs", "--limit", "x")
    of_the_command = invoke("jobs", "--since", "x")

    assert of_the_library.stderr.startswith("error: Invalid value for --limit / -n: it must be")
    assert of_the_command.stderr.startswith("error: Invalid value for --since: 'x' is not")


@pytest.mark.parametrize(
    ("command", "wait", "said"),
    [
        (
            "result",
            (
                "Jobs 8-9 go on; cloud.result(range(7, 10)) waits again, cloud.kill(range(7, 10)) "
                "ends them."
            ),
            (
                "Interrupted. Jobs 8-9 go on; `picloud result 7-9` waits again, `picloud kill 7-9` "
                "ends them."
            ),
        ),
        (
            "wait-for",
            "1 of 2 jobs goes on; cloud.result(jids) waits again, cloud.kill(jids) ends them.",
            (
                "Interrupted. 1 of 2 jobs goes on; `picloud result JIDS` waits again, "
                "`picloud kill JIDS` ends them."
            ),
        ),
        (
            "result",
            "",
            (
                "Interrupted. Submitted jobs go on; `picloud jobs` lists them, and "
                "`picloud kill JIDS` ends them."
            ),
        ),
        ("", "Job 7 goes on; cloud.result(7) waits again.", "Interrupted."),
    ],
)
def test_ctrl_c_names_the_jobs_that_go_on(command: str, wait: str, said: str) -> None:
    """As the SDK says it, with commands in place of calls; jobs of the simulator do not go on."""
    assert interruption(command, wait) == said


@pytest.mark.parametrize("early", ["picloud.output", "picloud.commands.up"])
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


def test_the_errors_of_a_group_are_in_the_first_line() -> None:
    """Its traceback begins with another word than others."""
    group = "  + Exception Group Traceback (most recent call last):\n  | ..."
    error = CloudException(group, jid=8, summary="ExceptionGroup: two: ValueError: a")

    assert message_of(error) == f"Job 8: ExceptionGroup: two: ValueError: a\n{group}"


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
