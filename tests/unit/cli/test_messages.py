"""What the command says of errors."""

from __future__ import annotations

import pytest
from cloud import CloudException
from cloud._jobs.interrupt import interrupted
from picloud.messages import interruption, message_of

from tests.unit.cli.command_runner import invoke


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


def test_what_a_user_typed_is_not_an_option() -> None:
    """An object may have the name of an option of `cloud.call`."""
    error = CloudException("There is no object data/_env.")

    assert message_of(error, ["bucket", "get", "data/_env"]) == "There is no object data/_env."


def test_usage_errors_name_options_in_one_way() -> None:
    """Whether the library has found the mistake or this command."""
    of_the_library = invoke("jobs", "--limit", "x")
    of_the_command = invoke("jobs", "--since", "x")

    assert of_the_library.stderr.startswith("error: Invalid value for --limit / -n: it must be")
    assert of_the_command.stderr.startswith("error: Invalid value for --since: 'x' is not")


def test_what_may_be_chosen_is_listed_in_one_way() -> None:
    """Whether the library checks the choice or this command."""
    of_the_library = invoke("up", "--stack", "nomad")
    of_the_command = invoke("jobs", "--status", "foo")

    assert "--stack: 'nomad' is not valid: write embedded or hashicorp." in of_the_library.stderr
    assert "'foo' is not a valid status: write waiting, queued," in of_the_command.stderr


def test_an_option_without_its_value_names_the_help_of_its_command() -> None:
    """Such errors of the library do not know their command."""
    assert invoke("jobs", "--label").stderr == (
        "error: --label needs a value. Try 'picloud jobs --help'.\n"
    )


def test_arguments_that_are_too_many_are_named() -> None:
    """In words of ours."""
    assert invoke("open", "7", "8").stderr == (
        "error: Unexpected argument: 7 8. Try 'picloud open --help'.\n"
    )


def test_the_number_of_slots_is_that_of_workers() -> None:
    """Every other text speaks of slots."""
    assert invoke("up", "--slots", "3").stderr == (
        "error: No such option: --slots. Did you mean --workers? Try 'picloud up --help'.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (("secret", "delete", "db"), "'rm'"),
        (("rest", "unpublish", "area"), "'remove'"),
        (("lock", "release", "db"), "'break'"),
        (("run", "ls"), "'exec'"),
        (("cancel", "7"), "'kill'"),
        (("stop",), "'down' or 'kill'"),
        (("cron", "regster", "x"), "'register'"),
        (("dictionary", "list"), "'dict'"),
        (("dict", "keys", "d"), "'list'"),
        (("dict", "clear", "d"), "'remove'"),
        (("queue", "clear", "q"), "'purge'"),
    ],
)
def test_a_command_of_another_name_is_proposed(arguments: tuple[str, ...], meant: str) -> None:
    """One that other programs have for the same, or that is misspelt."""
    assert f"Did you mean {meant}" in invoke(*arguments).stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("budget", "set"), "Missing argument DOLLARS."),
        (("exec",), "Missing argument COMMAND. Try"),
        (
            ("admin", "grant", "x", "--until", "2027-06-30"),
            "Invalid value for ACCOUNT: 'x' is not ",
        ),
        (("admin", "grant", "a1", "--until", "June"), "Invalid value for --until: 'June' is not a"),
        (("admin", "grant", "a1", "--until", "2027-06-30"), "Invalid value for --dollars: give ei"),
        (("env", "build", "x"), "Missing option --file / -f."),
        (("budget", "set", "5", "--per", "week"), "Invalid value for --per: 'week' is not a "),
        (("budget", "set", "5", "--action", "kil"), "Invalid value for --action: 'kil' is not an "),
        (("secret", "set", "db", "--from-file", "X"), "Invalid value for --from-file: value 1 is"),
        (("rest", "publish", "lab", "--warm", "1", "true"), "Invalid value for COMMAND: it begins"),
        (("cron", "register", "a", "@daily", "--overlap", "skip"), "Invalid value for COMMAND: it"),
    ],
)
def test_a_mistake_is_named_in_words_of_the_command_line(
    arguments: tuple[str, ...], said: str
) -> None:
    """Options by their names, and where they go."""
    refused = invoke(*arguments)

    assert (refused.exit_code, refused.stderr[: len(said) + 7]) == (2, f"error: {said}")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("budget", "set", "-5"), "DOLLARS cannot be negative."),
        (("budget", "set", "-.5", "--per", "day"), "DOLLARS cannot be negative."),
        (("status", "-7"), "JIDS cannot be negative."),
        (("wait-for", "port", "-1", "22"), "JID and PORT cannot be negative."),
        (("queue", "push", "q", "-1"), "No such option: -1. If it is a value, write -- in front"),
        (("jobs", "-3"), "No such option: -3. Try"),
    ],
)
def test_a_negative_value_is_not_called_an_option_only(
    arguments: tuple[str, ...], said: str
) -> None:
    """Where a number is expected, what is wrong with it; elsewhere, how a value is written."""
    refused = invoke(*arguments)

    assert (refused.exit_code, refused.stderr.startswith(f"error: {said}")) == (2, True)


@pytest.mark.parametrize(
    ("command", "stop", "said"),
    [
        (
            "result",
            interrupted(range(7, 10), [(8, 9)]),
            (
                "Interrupted. Jobs 8-9 go on; `picloud result 7-9` waits again, `picloud kill 7-9` "
                "ends them."
            ),
        ),
        (
            "wait-for",
            interrupted([7, 9], [(9, 9)]),
            (
                "Interrupted. 1 of 2 jobs goes on; `picloud result 7,9` waits again, "
                "`picloud kill 7,9` ends them."
            ),
        ),
        (
            "join",
            interrupted([*range(1, 40, 2)], [(9, 9), (11, 11)]),
            (
                "Interrupted. 2 of 20 jobs go on; `picloud join JIDS` waits again, "
                "`picloud kill JIDS` ends them."
            ),
        ),
        (
            "result",
            KeyboardInterrupt(),
            (
                "Interrupted. Submitted jobs go on; `picloud jobs` lists them, and "
                "`picloud kill JIDS` ends them."
            ),
        ),
        ("", interrupted([7], [(7, 7)]), "Interrupted."),
    ],
)
def test_ctrl_c_names_the_jobs_that_go_on(command: str, stop: KeyboardInterrupt, said: str) -> None:
    """As the SDK says it, with commands in place of calls; jobs of the simulator do not go on."""
    assert interruption(command, stop) == said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("status", "1", "-o", "json"), "No such option: -o. It precedes the command: picloud -o"),
        (("cron", "list", "--debug"), "No such option: --debug. It precedes the command: picloud"),
        (("--json", "status", "1"), "No such option: --json. It follows the command; before it,"),
    ],
)
def test_an_option_at_the_wrong_place_is_told_where_it_goes(
    arguments: tuple[str, ...], said: str
) -> None:
    """Those of `picloud` precede the command."""
    assert invoke(*arguments).stderr.startswith(f"error: {said}")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("up", "--data", __file__), f"{__file__!r} is a file, not a directory."),
        (("up", "--prices", "/"), "'/' is a directory, not a file."),
    ],
)
def test_a_path_of_another_kind_is_named(arguments: tuple[str, ...], said: str) -> None:
    """In words of ours."""
    assert said in invoke(*arguments).stderr


def test_the_errors_of_a_group_are_in_the_first_line() -> None:
    """Its traceback begins with another word than others."""
    group = "  + Exception Group Traceback (most recent call last):\n  | ..."
    error = CloudException(group, jid=8, summary="ExceptionGroup: two: ValueError: a")

    assert message_of(error) == f"Job 8: ExceptionGroup: two: ValueError: a\n{group}"
