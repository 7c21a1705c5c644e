"""The files by which programs that use OpenSSH reach jobs, in the directory of the profiles."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cloud._client.current import client
from cloud._config import profile
from cloud._config.settings import ClientSettings, read_variables
from cloud._resources.ssh import SshFiles
from cloud._resources.tunnel import TunnelClient
from cloud.errors import CloudException

if TYPE_CHECKING:
    from collections.abc import Sequence

_VARIABLES: Final = ("PICLOUD_CONFIG_DIR", "PICLOUD_PROFILE", "PICLOUD_URL")


def directory() -> Path:
    """Return the directory below which the files for SSH are."""
    return profile.path(ClientSettings.read()).parent / "ssh"


def prepared(jid: int, command: Sequence[str], key: Path | None = None) -> SshFiles:
    """Write the files for SSH to a running job, with a new certificate.

    Args:
        jid: The job.
        command: How `picloud` is called by ssh.
        key: The private key; by default one for this job only.
    """
    files = SshFiles(directory() / str(jid), jid, key)
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
