"""`picloud ssh`, `picloud ssh-info` and `picloud ssh-config`."""

from __future__ import annotations

from typing import Annotated

import cloud
import typer
from cloud._client.current import client

from picloud import output
from picloud.completion import jobs
from picloud.options.arguments import AsJson, Timeout  # noqa: TC001 - Typer reads it

Jid = Annotated[int, typer.Argument(metavar="JID", min=1, help="Job id.", autocompletion=jobs.jids)]
Stdio = Annotated[
    bool,
    typer.Option("--stdio", help="Carry the connection over standard input and output, for ssh."),
]
LocalForward = Annotated[
    list[str] | None,
    typer.Option("-L", metavar="PORT:HOST:PORT", help="Forward a local port, as ssh does."),
]
Terminal = Annotated[bool, typer.Option("--tty", "-T", help="Give a command a terminal.")]


def ssh(
    jid: Jid,
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="COMMAND...", help="Command to run instead of a shell."),
    ] = None,
    timeout: Timeout = None,
    local: LocalForward = None,
    *,
    tty: Terminal = False,
    stdio: Stdio = False,
) -> None:
    """Open a shell in a job with ssh, or run a command there.

    Waits until the job is processing. The shell runs as the user of the job, in its directory and
    with its environment variables, and ends with the job. Exits with the status of the command.

    \b
    Examples:
      $ picloud ssh 7
      $ picloud ssh 7 ps aux
      $ picloud ssh -L 8080:localhost:8000 7
    """  # noqa: D301 - \b keeps the lines apart
    import tempfile  # noqa: PLC0415 - only these commands need files and sockets
    from pathlib import Path  # noqa: PLC0415 - as above

    from cloud._resources import ssh as files  # noqa: PLC0415 - as above
    from cloud._resources.tunnel import TunnelClient  # noqa: PLC0415 - as above

    await_start(jid, timeout)
    tunnels = TunnelClient(client().transport)
    if stdio:
        with tunnels.connect_shell(jid) as stream:
            files.await_banner(stream, jid)
            files.carry_standard_streams(stream)
        return
    options = [*(word for each in local or () for word in ("-L", each)), *(["-t"] if tty else [])]
    with tempfile.TemporaryDirectory(prefix="picloud-ssh-") as directory:
        connection = files.SshConnection(tunnels, files.SshFiles(Path(directory), jid))
        try:
            status = connection.run(options, command or ())
        finally:
            connection.close()
    raise typer.Exit(status)


def await_start(jid: int, timeout: float | None) -> None:
    """Wait until a job is processing, and say so if it is not yet.

    Raises:
        CloudException: When it ends without, or has ended.
    """
    if cloud.status(jid) in ("waiting", "queued"):
        output.hint(f"Waiting until job {jid} starts; Ctrl-C stops.")
    cloud.wait_for.status(jid, "processing", timeout)


def ssh_info(jid: Jid, timeout: Timeout = None, *, json: AsJson = False) -> None:
    """Print the command by which ssh reaches a job.

    Waits until the job is processing. The certificate is valid for 5 minutes; an open connection
    stays open until the job ends.

    \b
    Examples:
      $ picloud ssh-info 7
      $ scp -F "$(picloud ssh-info 7 --json | jq -r .config)" data.csv picloud-7:
    """  # noqa: D301 - \b keeps the lines apart
    import shlex  # noqa: PLC0415 - as in `ssh`

    from cloud.shortcuts import ssh as preparation  # noqa: PLC0415 - as in `ssh`

    await_start(jid, timeout)
    info = preparation.get_ssh_info(jid)
    if json:
        output.as_json(info)
    else:
        output.text(shlex.join(["ssh", "-F", info["config"], info["address"]]))


def ssh_config(jid: Jid, timeout: Timeout = None) -> None:
    """Print lines for ~/.ssh/config, so that ssh, scp, rsync and editors reach a job by a name.

    The name is picloud-JID. Each connection gets a new certificate. Waits until the job is
    processing.

    \b
    Examples:
      $ picloud ssh-config 7 >> ~/.ssh/config
      $ rsync -a results/ picloud-7:results/
    """  # noqa: D301 - \b keeps the lines apart
    import shlex  # noqa: PLC0415 - as in `ssh`

    from cloud.shortcuts import ssh as preparation  # noqa: PLC0415 - as in `ssh`

    await_start(jid, timeout)
    command = preparation.picloud_command()
    files = preparation.prepared(jid, command)
    renew = shlex.join([*command, "ssh-info", str(jid)])
    proxy = f"ProxyCommand {shlex.join([*command, 'ssh', '--stdio', str(jid)])}"
    output.text(f'Match originalhost {files.host} exec "{renew} > /dev/null"')
    for line in files.lines([proxy]):
        output.text(f"    {line}")
