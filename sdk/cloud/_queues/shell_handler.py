"""A shell command as the handler of a queue."""

from __future__ import annotations

import json
from typing import Any

import msgspec


class ShellHandler(msgspec.Struct, frozen=True):
    r"""Runs a command with the message on its standard input, and returns what it prints.

    A message that is not text is written as JSON. The last newline is removed from what is printed;
    nothing at all is None. An exit status other than 0 is an exception.

    >>> ShellHandler("tr a-z A-Z").message_handler("hello")
    'HELLO'
    """

    command: str

    @property
    def handler_name(self) -> str:
        """What lists show as the function of its jobs."""
        return self.command

    def message_handler(self, message: Any) -> str | None:
        """Run the command with a message."""
        # A handler may be attached where shell jobs are never run.
        from cloud._arguments.command_template import Command  # noqa: PLC0415
        from cloud.command import run  # noqa: PLC0415

        text = message if isinstance(message, str) else json.dumps(message, ensure_ascii=False)
        printed = run(Command(command=self.command, stdin=f"{text}\n".encode()))
        return printed.removesuffix("\n") or None
