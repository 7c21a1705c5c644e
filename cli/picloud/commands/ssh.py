"""`picloud ssh`, `picloud exec-shell`, `picloud ssh-info` and `picloud ssh-config`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import cloud
import typer
from cloud import CloudException
from cloud._client.current import client
from picloud_model.job import ENDED

from picloud import output
from picloud.completion import jobs
from picloud.options.arguments import AsJson, Timeout  # noqa: TC001 - Typer reads it
from picloud.options.job import JobOptions, takes_shell_options

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    await_start(jid, timeout)
    if stdio:
        from cloud._resources import ssh as files  # noqa: PLC0415 - it needs sockets
        from cloud._resources.tunnel import TunnelClient  # noqa: PLC0415 - as above

        with TunnelClient(client().transport).connect_shell(jid) as stream:
            files.await_banner(stream, jid)
            files.carry_standard_streams(stream)
        return
    options = [*(word for each in local or () for word in ("-L", each)), *(["-t"] if tty else [])]
    raise typer.Exit(_connect(jid, options, command or ()))


@takes_shell_options
def exec_shell(
    timeout: Annotated[
        float | None,
        typer.Option("--timeout", min=0, metavar="SECONDS", help="Stop waiting after this time."),
    ] = None,
    *,
    keep_alive: Annotated[
        bool, typer.Option("--keep-alive", "-k", help="Let the job go on after the last shell.")
    ] = False,
    options: JobOptions,
) -> None:
    """Create a job and open a shell in it, to try what jobs find.

    The job ends with the last shell that is open in it; `picloud ssh` opens others. With
    --keep-alive it goes on until it is killed.

    \b
    Examples:
      $ picloud exec-shell
      $ picloud exec-shell -t f2 -c 2 --env plots --vol data
    """  # noqa: D301 - \b keeps the lines apart
    from cloud.command import host_shells  # noqa: PLC0415 - only this command needs it

    arguments = {"keep_alive": keep_alive}
    jid = int(client().submit_call(host_shells, (), arguments, options.call_options()))
    output.hint(f"Job {jid} was created; a shell opens when it has started.")
    try:
        await_start(jid, timeout)
        status = _connect(jid, (), ())
    except BaseException:
        if not keep_alive:
            cloud.kill(jid)
        raise
    if keep_alive:
        output.hint(f"Job {jid} goes on; `picloud kill {jid}` ends it.")
    raise typer.Exit(status)


def _connect(jid: int, options: Sequence[str], command: Sequence[str]) -> int:
    """Run ssh to a job that is processing; return its exit status."""
    from cloud._resources import ssh as files  # noqa: PLC0415 - only these commands need sockets
    from cloud._resources.tunnel import TunnelClient  # noqa: PLC0415 - as above

    return files.connect(TunnelClient(client().transport), jid, options, command)


def await_start(jid: int, timeout: float | None) -> None:
    """Wait until a job is processing, and say so if it is not yet.

    Raises:
        CloudException: When it ends without, or has ended.
    """
    status = cloud.status(jid)
    if status in ENDED:
        raise CloudException(f"Job {jid} has already ended ({status}).", status=status)
    if status in ("waiting", "queued"):
        output.hint(f"Waiting until job {jid} starts; Ctrl-C stops.")
    if status != "processing":
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

    from cloud._ssh import ssh_access  # noqa: PLC0415 - as in `ssh`

    await_start(jid, timeout)
    command = ssh_access.picloud_command()
    files = ssh_access.prepared(jid, command)
    renew = shlex.join([*command, "ssh-info", str(jid)])
    proxy = f"ProxyCommand {shlex.join([*command, 'ssh', '--stdio', str(jid)])}"
    output.text(f'Match originalhost {files.host} exec "{renew} > /dev/null"')
    for line in files.lines([proxy]):
        output.text(f"    {line}")
