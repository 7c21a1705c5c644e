"""A shell command as a published function."""

from __future__ import annotations

import msgspec
from picloud_model.wire.rest import Parameter

from cloud._arguments.command_template import Command, variables
from cloud._endpoints.parameters import Signature


class ShellEndpoint(msgspec.Struct, frozen=True):
    r"""Runs a command whose template variables are the arguments of the call.

    >>> ShellEndpoint(Command(command="echo {a}-{b}"))(a="1", b="x y")
    '1-x y\n'
    """

    command: Command

    def __call__(self, **values: str) -> str:
        """Run the command with values of its template variables; return what it prints."""
        # A command may be published where shell jobs are never run.
        from cloud.command import run  # noqa: PLC0415

        return run(msgspec.structs.replace(self.command, values=values))


def signature_of(command: str) -> Signature:
    """Return the parameters of a command: its template variables, which are text.

    >>> [each.name for each in signature_of("cp {source} {target}").parameters]
    ['source', 'target']
    """
    return Signature([Parameter(name=name, kind="text") for name in variables(command)])
