"""`cloud.shortcuts.ssh`: what an SSH client needs to reach a job."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cloud._client.current import client
from cloud._config import profile
from cloud._config.border import of_users
from cloud._config.settings import ClientSettings, read_variables
from cloud._resources.ssh import USER, SshFiles
from cloud._resources.tunnel import TunnelClient
from cloud.errors import CloudException

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["get_ssh_info"]

_VARIABLES: Final = ("PICLOUD_CONFIG_DIR", "PICLOUD_PROFILE", "PICLOUD_URL")
_PORT: Final = 22


@of_users
def get_ssh_info(jid: int, timeout: float | None = None) -> dict[str, Any]:
    """Wait until a job is processing, and return what an SSH client needs to reach it.

    Afterwards `ssh -F CONFIG ADDRESS` opens a shell in the job, with the values that are returned.
    The certificate is valid for 5 minutes; an open connection stays open until the job ends. A
    later call renews it.

    Args:
        jid: The jid of the job.
        timeout: How many seconds to wait; None for no limit.

    Returns:
        The `address`, by which only the configuration file `config` finds the job, its `port`, the
        `username`, and the files `identity` and `certificate`.

    Raises:
        CloudException: When the job ends without processing, or OpenSSH is not installed.
        CloudTimeoutError: When the timeout is reached.
    """
    client().wait_for_status(jid, "processing", timeout)
    files = prepared(int(jid), picloud_command())
    return {
        "address": files.host,
        "port": _PORT,
        "username": USER,
        "identity": str(files.identity),
        "certificate": str(files.certificate),
        "config": str(files.configuration),
    }


def prepared(jid: int, command: Sequence[str]) -> SshFiles:
    """Write the files for SSH to a running job, with a new certificate.

    Args:
        jid: The job.
        command: How `picloud` is called by ssh.
    """
    directory = profile.path(ClientSettings.read()).parent / "ssh" / str(jid)
    files = SshFiles(directory, jid)
    issued = TunnelClient(client().transport).certify(jid, files.make_key())
    files.write(issued, (f"ProxyCommand {shlex.join([*command, 'ssh', '--stdio', str(jid)])}",))
    return files


def picloud_command() -> list[str]:
    """Return a command that runs `picloud` for the same server, from any program.

    Raises:
        CloudException: When it is not installed.
    """
    beside = Path(sys.executable).with_name("picloud")
    path = str(beside) if beside.exists() else shutil.which("picloud")
    if path is None:
        raise CloudException("The command picloud is not installed; install picloud[cli].")
    variables = read_variables(_VARIABLES)
    settings = [f"{name}={text}" for name, text in variables.items()]
    return ["env", *settings, path] if settings else [path]


def __dir__() -> list[str]:
    """List what users call."""
    return __all__
