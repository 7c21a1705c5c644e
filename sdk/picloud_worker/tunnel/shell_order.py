"""What the shell server of a job needs to know, which it reads when it starts."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
from picloud_model.wire import SshOrder


class ShellPlace(msgspec.Struct, frozen=True):
    """Where shells of a job run: its child, and what its environment has besides the slot's."""

    child_index: int
    variables: dict[str, str]


class ShellOrder(msgspec.Struct, frozen=True):
    """Who may connect, and the variables of the job."""

    ssh: SshOrder
    variables: dict[str, str]

    def written(self) -> int:
        """Return a descriptor from which `read` reads this; the caller closes it.

        In memory and not in a file, as the private key of the host is in it.
        """
        descriptor = os.memfd_create("picloud-shell")
        os.write(descriptor, msgspec.msgpack.encode(self))
        os.lseek(descriptor, 0, os.SEEK_SET)
        return descriptor

    @classmethod
    def read(cls, descriptor: int) -> ShellOrder:
        """Read an order, and close the descriptor."""
        with os.fdopen(descriptor, "rb") as file:
            return msgspec.msgpack.decode(file.read(), type=cls)


def environment(job: int, variables: dict[str, str]) -> dict[str, str]:
    """Return the environment of a job's shells: that of its process, and its own variables.

    Args:
        job: The process id of its child.
        variables: What the child has set since it was forked, which the kernel does not show.

    >>> environment(os.getpid(), {"PICLOUD_JID": "7"})["PICLOUD_JID"]
    '7'
    """
    entries = Path(f"/proc/{job}/environ").read_bytes().split(b"\0")
    pairs = (os.fsdecode(entry).partition("=") for entry in entries if b"=" in entry)
    return {name: value for name, _, value in pairs} | variables
