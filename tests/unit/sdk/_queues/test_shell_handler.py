"""A shell command as a handler: the message on its standard input, its output returned."""

from __future__ import annotations

import pytest
from cloud._queues.shell_handler import ShellHandler
from cloud.errors import CommandFailed


def test_texts_are_passed_as_they_are() -> None:
    """Other values as JSON; a command that prints nothing returns None."""
    assert ShellHandler("cat").message_handler("ü x") == "ü x"
    assert ShellHandler("cat").message_handler({"x": [1, None]}) == '{"x": [1, null]}'
    assert ShellHandler("cat >/dev/null").message_handler("x") is None
    assert ShellHandler("a b").handler_name == "a b"


def test_a_command_that_fails_is_an_exception() -> None:
    """With its exit status."""
    with pytest.raises(CommandFailed) as raised:
        ShellHandler("exit 3").message_handler("x")

    assert raised.value.exit_code == 3
