"""Template variables of shell commands."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from cloud import CloudException
from cloud._arguments import command_template
from hypothesis import given, settings
from hypothesis import strategies as st

EVIL = "'; echo owned; \" `echo owned` $(echo owned)\n echo owned #\\"


def printed(command: str, **values: str) -> str:
    """What a shell prints that is given a command and its values as a job gives them."""
    variables = {command_template.environment_name(name): value for name, value in values.items()}
    return subprocess.run(
        ["/bin/sh", "-c", command_template.render(command)],
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("echo {w1}, {w2} {w1}", ["w1", "w2"]),
        ("echo ${HOME} {} {1} {a,b} {a b} { a }", []),
        ("awk '{{print}}' {file}", ["file"]),
        ("awk '{print $1}'", []),
        ("{_a}{B2}", ["_a", "B2"]),
        ("{ü}", []),
    ],
)
def test_a_name_in_braces_is_a_variable(command: str, found: list[str]) -> None:
    """What the shell means by its own braces stays the shell's."""
    assert command_template.variables(command) == found


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("printf %s {w}", "<{w}>"),
        ('printf %s "a {w} b"', "<a {w} b>"),
        ("printf %s 'a {w} b'", "<a {w} b>"),
        ("printf %s a'b'{w}\"c\"", "<ab{w}c>"),
        ('printf %s "$(printf %s {w})"', "<{w}>"),
        ('printf %s "$(printf %s "{w}")"', "<{w}>"),
        ("printf %s \"$(printf %s '{w}')\"", "<{w}>"),
        ("printf %s `printf %s '{w}' | wc -l`", "<1>"),
        ("printf %s \\'{w}", "<'{w}>"),
        ("printf %s \\\\{w}", "<\\{w}>"),
        ("printf %s x # it's {w}\n", "<x>"),
        ("printf %s x#\"{w}\"'{w}'", "<x#{w}{w}>"),
        ("(printf %s {w})", "<{w}>"),
        ('printf %s "it\'s {w}"', "<it's {w}>"),
        ('x={w}; printf %s "$x"', "<{w}>"),
        ("cat <<E\n'{w}' \"{w}\"\nE\nprintf %s '{w}'", "<'{w}' \"{w}\"\n{w}>"),
        ("cat <<E >&1; printf %s {w}\n{w}\nE\n", "<{w}\n{w}>"),
        ("case {w} in *owned*) printf %s {w};; esac", "<{w}>"),
    ],
)
def test_a_value_is_one_word_wherever_it_stands(command: str, shown: str) -> None:
    """The promise: "a template value is quoted for the shell: it can never become a second
    command".
    """
    found = f"<{printed(command, w=EVIL)}>"

    # What is taken from a command's output loses its last newlines, and that is all.
    assert found == shown.replace("{w}", EVIL)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30))
@settings(max_examples=40, deadline=None)
def test_every_text_arrives_as_it_is(value: str) -> None:
    """Whatever the value is, each kind of quotes around it or none."""
    value = value.replace("\r", "")  # the test's own reading makes newlines of them

    assert printed("printf %s. {w} \"{w}\" '{w}'", w=value) == f"{value}.{value}.{value}."


PIECES = [
    *(" {w} ", '"{w}"', "'{w}'", "a{w}b", '"a {w} b"', "'a {w} b'", "$(echo {w})", "`echo {w}`"),
    *('"$(echo "{w}")"', '"`echo {w}`"', "\"$(echo '{w}')\"", "${x:-{w}}", '"${x:-{w}}"', "$((1))"),
    *("\\\\", "\\'", '\\"', "'", '"', "`", "$(", ")", "${", "}", "$", "#", " # {w}\necho ", " x "),
    *("<<E\n{w}\nE\necho ", "$'{w}'", "(", " > /dev/null "),
]


@given(st.lists(st.sampled_from(PIECES), max_size=8), st.booleans())
@settings(max_examples=200, deadline=None)
def test_no_command_is_too_clever(pieces: list[str], quoted: bool) -> None:
    """However the command is made, well or badly: the value runs nothing."""
    command = "echo " + "".join(pieces)
    with TemporaryDirectory() as home:
        commands = (
            "; touch owned; $(touch owned) `touch owned`\ntouch owned\n| touch owned & touch owned"
        )
        value = f"'{commands}'\"{commands}\"" if quoted else commands
        subprocess.run(
            ["/bin/sh", "-c", command_template.render(command)],
            env={"PATH": os.environ["PATH"], command_template.environment_name("w"): value},
            cwd=home,
            capture_output=True,
            check=False,
            timeout=30,
        )

        assert not Path(home, "owned").exists()


@pytest.mark.parametrize("value", ["*", "~", "$HOME", "-n", "", "a  b"])
def test_the_shell_does_not_look_into_a_value(value: str) -> None:
    """No globbing, no expansion, no splitting; an empty value is an empty word."""
    assert printed("printf '<%s>' {w} x", w=value) == f"<{value}><x>"


def test_a_document_that_expands_nothing_takes_no_value() -> None:
    """Rather an error than a reference in place of a value."""
    with pytest.raises(CloudException, match="take the quotes off the delimiter"):
        command_template.render("cat <<'E'\n{w}\nE")

    assert command_template.render("cat <<'E'\n{{w}}\nE\n") == "cat <<'E'\n{w}\nE\n"


def test_braces_can_be_kept() -> None:
    """Doubled braces stand for themselves."""
    assert command_template.render("awk '{{print}}' {{{{x}}}}") == "awk '{print}' {{{x}}}"


def test_a_variable_without_a_value_is_named() -> None:
    """And how to write it where no variable was meant."""
    with pytest.raises(CloudException, match=r"variable \{w1\} has no value; write \{\{w1\}\}"):
        command_template.check("echo {w1}", [])


def test_a_value_without_a_variable_is_named() -> None:
    """It is most likely misspelt."""
    with pytest.raises(CloudException, match=r"no template variable \{w2\}"):
        command_template.check("echo {w1}", ["w1", "w2"])


@pytest.mark.parametrize(
    "arguments",
    [
        ["printf", "<%s>", "a  b", "it's", "$HOME", "; echo no", "", "*"],
        ["sh", "-c", "printf %s one; printf %s two"],
    ],
)
def test_arguments_stay_what_they_are(arguments: list[str]) -> None:
    """What the user's own shell has parsed already is not parsed again."""
    direct = subprocess.run(arguments, capture_output=True, text=True, check=True).stdout

    assert printed(command_template.join(arguments)) == direct


def test_arguments_keep_their_variables() -> None:
    """Also within what has to be quoted."""
    assert (
        printed(command_template.join(["printf", "%s", "a {w}; {{w}}"]), w=EVIL)
        == f"a {EVIL}; {{w}}"
    )
