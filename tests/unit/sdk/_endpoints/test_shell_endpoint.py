"""A shell command as a published function."""

from __future__ import annotations

import pickle

import pytest
from cloud._arguments.command_template import Command
from cloud._endpoints.shell_endpoint import ShellEndpoint, signature_of
from cloud.errors import CommandFailed


def test_arguments_are_values_of_template_variables() -> None:
    """A value is one word and never a command of its own, also after it has travelled."""
    endpoint = pickle.loads(pickle.dumps(ShellEndpoint(Command(command="echo {a} {b}"))))

    assert endpoint(a="1", b="x; echo  y") == "1 x; echo  y\n"


def test_a_command_that_fails_raises() -> None:
    """The job of the call fails, too."""
    with pytest.raises(CommandFailed):
        ShellEndpoint(Command(command="exit 3"))()


def test_template_variables_are_parameters() -> None:
    """Each once; all are required."""
    parameters = signature_of("cp {a} {b} ${HOME} {{c}} {a}").parameters

    assert [(each.name, each.kind, each.required) for each in parameters] == [
        ("a", "text", True),
        ("b", "text", True),
    ]
