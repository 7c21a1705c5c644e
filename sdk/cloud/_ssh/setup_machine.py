"""Setup machines: their jobs, and what reaches these by SSH."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from picloud_model.wire import Options

from cloud._arguments.options import CallOptions
from cloud._client.current import client
from cloud._config.border import warn
from cloud._resources import ssh
from cloud._resources.setup_machine import SetupMachineClient
from cloud._resources.tunnel import TunnelClient
from cloud._ssh.ssh_access import directory, picloud_command, prepared
from cloud.command import host_setup
from cloud.errors import CloudException

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_KEY: Final = Path("setup", "key")
"""The key by which all setup machines are reached, below the directory for SSH."""
_LOOK_EVERY_S: Final = 0.2
# The file is executed, so that its first line may name an interpreter; without one it is for sh.
_RUN: Final = (
    'file=$(mktemp) && cat > "$file" && chmod u+x "$file" && "$file"; '
    'status=$?; rm -f "$file"; exit $status'
)


def machines() -> SetupMachineClient:
    """Return the setup machines of the current account."""
    return SetupMachineClient(client().transport)


def start(name: str, base: str | None = None, desc: str | None = None) -> int | str:
    """Open the machine of an environment, and wait until it runs; return what `running` does.

    Args:
        name: The environment, which is new if there is a base.
        base: What a new one begins as.
        desc: The description of a new one.

    Raises:
        CloudException: When the machine cannot be opened.
    """
    machine = machines().open(name, base, desc)
    if machine.lost:
        warn(f"The setup machine of {name!r} was lost with what was not saved, and begins again.")
    while machine.state == "preparing":
        time.sleep(_LOOK_EVERY_S)
        machine = machines().get(name)
    if machine.state == "failed":
        reason = machine.problem or "Its files are missing on the server."
        advice = f"picloud env shutdown {name} removes it."
        raise CloudException(f"The setup machine of {name!r} cannot start: {reason} {advice}")
    if machine.is_job and machine.jid is None:
        options = CallOptions(options=Options(env=machine.env), name=f"setup of {name}")
        client().submit_call(host_setup, (), {}, options)
    return running(name)


def running(name: str) -> int | str:
    """Return the job of a machine once it runs; its name if it is a container.

    Raises:
        CloudException: When there is none, or it has stopped.
    """
    machine = machines().get(name)
    jid = machine.jid
    if not machine.is_job and machine.state == "ready":
        return name
    if not machine.is_job:
        message = f"The setup machine of {name!r} does not run; picloud env modify {name} starts it"
        raise CloudException(f"{message} again.")
    if jid is None:
        message = f"The job of the setup machine of {name!r} has ended; "
        raise CloudException(f"{message}picloud env modify {name} starts it again.")
    client().wait_for_status(jid, "processing", None)
    return jid


def run(name: str, command: Sequence[str], stdin: BinaryIO | None = None) -> int:
    """Run a command in a machine, or a shell; return its exit status."""
    target = running(name)
    return ssh.connect(_tunnels(target), target, (), command, stdin)


def run_script(name: str, script: Path) -> int:
    """Run a script of this machine in a setup machine; return its exit status.

    Raises:
        CloudException: When it cannot be read.
    """
    try:
        file = script.open("rb")
    except OSError as error:
        raise CloudException(f"{script}: {error.strerror or error}.") from None
    with file:
        return run(name, [_RUN], file)


def rsync(source: str, target: str, *, delete: bool, pipe_output: bool) -> tuple[int, bytes]:
    """Copy files with rsync; return its exit status, and what it printed if that is piped.

    Raises:
        CloudException: When not exactly one path begins with the name of an environment and a
            colon, or rsync is not installed.
    """
    remote = [each.partition(":")[0] for each in (source, target) if _is_remote(each)]
    if len(remote) != 1:
        message = "Exactly one path must be NAME:PATH, with the name of an environment, not "
        raise CloudException(f"{message}{source!r} and {target!r}.")
    program = shutil.which("rsync")
    if program is None:
        raise CloudException("rsync is not installed; install it, or use picloud env run-script.")
    options = ["--archive", "--compress", *(["--delete"] if delete else [])]

    def copy(files: ssh.SshFiles) -> tuple[int, bytes]:
        paths = [
            f"{files.host}:{each.partition(':')[2]}" if _is_remote(each) else each
            for each in (source, target)
        ]
        # rsync splits the command at spaces, and knows double quotes.
        shell = f'"{ssh.program("ssh")}" -F "{files.configuration}"'
        done = subprocess.run(  # noqa: S603 - the user's own paths
            [program, *options, "--rsh", shell, "--", *paths],
            stdout=subprocess.PIPE if pipe_output else None,
            check=False,
        )
        return done.returncode, done.stdout or b""

    machine = running(remote[0])
    if isinstance(machine, int):
        return copy(prepared(machine, picloud_command(), directory() / _KEY))
    with ssh.connection(_tunnels(machine), machine) as (opened, files):
        opened.offer()
        return copy(files)


def host(target: int | str) -> str:
    """Return the name by which a configuration for SSH knows what `running` returns."""
    return ssh.SshFiles(directory(), target).host


def key_path() -> str:
    """Return the path of the private key for setup machines; it is made if there is none."""
    files = ssh.SshFiles((directory() / _KEY).parent, 0)
    files.make_key()
    return str(files.identity)


def wait_for_action(
    look: Callable[[], dict[str, Any]], wanted: str, invalid: Sequence[str]
) -> dict[str, Any]:
    """Wait until what happens to an environment is the wanted action; return what is known of it.

    Raises:
        CloudException: When it is an invalid one.
    """
    while True:
        found = look()
        if found["action"] == wanted:
            return found
        if found["action"] in invalid:
            message = f"The environment {found['name']!r} is in the action {found['action']!r}, "
            raise CloudException(f"{message}which is not {wanted!r}.")
        time.sleep(_LOOK_EVERY_S)


def _tunnels(target: int | str) -> ssh.ShellTunnels:
    return TunnelClient(client().transport) if isinstance(target, int) else machines()


def _is_remote(path: str) -> bool:
    """Whether a path is in a setup machine, as rsync tells it.

    >>> _is_remote("science:data"), _is_remote("./a:b"), _is_remote("data")
    (True, False, False)
    """
    name, colon, _ = path.partition(":")
    return bool(colon and name) and "/" not in name
