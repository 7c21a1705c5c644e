"""The SSH server of a job: shells, commands, file transfer and forwarded ports, for one client.

It runs as the user of the job, so that a client can do what the job can, and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pwd
import signal
import termios
from typing import TYPE_CHECKING, Final

from picloud_worker.tunnel.quick_import import without_library_search

with without_library_search():
    import asyncssh

if TYPE_CHECKING:
    import socket
    from asyncio.subprocess import Process as Program
    from collections.abc import Callable, Mapping

    from picloud_model.wire import SshOrder

LOGIN_S: Final = 15
"""How long a client may take to authenticate."""
KEEPALIVE_S: Final = 15
MOST_UNANSWERED: Final = 4
"""Requests for a sign of life that a client leaves unanswered before its connection ends."""
_FROM_CLIENTS: Final = ("LANG", "LC_", "COLORTERM")
"""Variables that clients may set, or the beginnings of their names."""
_NOT_RUN: Final = 126


class JobSshServer(asyncssh.SSHServer):
    """What a client may do besides running commands: forward ports of its own to the job's."""

    def connection_requested(
        self, dest_host: str, dest_port: int, orig_host: str, orig_port: int
    ) -> bool:
        """Allow `ssh -L` to all that the job itself can reach."""
        del dest_host, dest_port, orig_host, orig_port
        return True

    def server_requested(self, listen_host: str, listen_port: int) -> bool:
        """Refuse `ssh -R`: a job opens its ports itself."""
        del listen_host, listen_port
        return False


class JobFiles(asyncssh.SFTPServer):
    """Files as the user of the job sees them; relative paths begin in the job's directory."""

    def exit(self) -> None:
        """Report success, without which scp of OpenSSH fails after it has copied everything."""
        self.channel.exit(0)


async def serve(
    stream: socket.socket,
    order: SshOrder,
    environment: Mapping[str, str],
    disconnected: Callable[[], None],
) -> None:
    """Serve a client until it disconnects, and then wait for commands that go on.

    Args:
        stream: A connection to it.
        order: The certificates that are accepted, and the private key of this server.
        environment: The environment of its commands.
        disconnected: Called when the client has disconnected.
    """
    rule = f'cert-authority,principals="{order.principal}" {order.authority}\n'

    running: set[asyncio.Task[None]] = set()

    def run(process: asyncssh.SSHServerProcess[bytes]) -> None:
        task = asyncio.create_task(_run(process, environment))
        running.add(task)
        task.add_done_callback(running.discard)

    with contextlib.suppress(OSError, asyncssh.Error):
        connection = await asyncssh.run_server(
            stream,
            server_factory=JobSshServer,
            server_host_keys=[asyncssh.import_private_key(order.host_key)],
            authorized_client_keys=asyncssh.import_authorized_keys(rule),
            process_factory=run,
            sftp_factory=JobFiles,
            allow_scp=True,
            agent_forwarding=False,
            x11_forwarding=False,
            encoding=None,
            line_editor=False,
            login_timeout=LOGIN_S,
            keepalive_interval=KEEPALIVE_S,
            keepalive_count_max=MOST_UNANSWERED,
        )
        await connection.wait_closed()
    disconnected()
    if running:
        await asyncio.wait(running)


async def _run(process: asyncssh.SSHServerProcess[bytes], environment: Mapping[str, str]) -> None:
    """Run the command of a client, or a shell, and report how it ended."""
    variables = {**environment, **_accepted(process.env)}
    command = [_shell()] if process.command is None else [_shell(), "-c", process.command]
    run = _run_with_pipes
    if process.term_type is not None:
        variables["TERM"] = process.term_type
        run = _run_in_terminal
    with contextlib.suppress(BrokenPipeError):  # the client has gone
        try:
            program = await run(process, command, variables)
        except OSError as error:
            process.stderr.write(f"{command[0]} cannot run: {error.strerror}\n".encode())
            process.exit(_NOT_RUN)
        else:
            await _end(process, program)


async def _run_with_pipes(
    process: asyncssh.SSHServerProcess[bytes], command: list[str], environment: Mapping[str, str]
) -> Program:
    (stdin, our_in), (our_out, stdout), (our_err, stderr) = os.pipe(), os.pipe(), os.pipe()
    try:
        program = await asyncio.create_subprocess_exec(
            *command,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=environment,
            start_new_session=True,
        )
    except OSError:
        for each in (our_in, our_out, our_err):
            os.close(each)
        raise
    finally:
        for each in (stdin, stdout, stderr):
            os.close(each)
    # The end of one output is not that of the other: `process.exit` ends the channel.
    await process.redirect(our_in, our_out, our_err, send_eof=False)
    return program


async def _run_in_terminal(
    process: asyncssh.SSHServerProcess[bytes], command: list[str], environment: Mapping[str, str]
) -> Program:
    ours, theirs = os.openpty()

    def take_terminal() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    try:
        program = await asyncio.create_subprocess_exec(
            *command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment,
            start_new_session=True,
            preexec_fn=take_terminal,  # this process has one thread
        )
    except OSError:
        os.close(ours)
        raise
    finally:
        os.close(theirs)
    # Two files, each of which is closed by the direction that it serves.
    await process.redirect(os.dup(ours), ours, send_eof=False)
    return program


async def _end(process: asyncssh.SSHServerProcess[bytes], program: Program) -> None:
    """Wait until a program has ended, and report how; hang up if the client goes before."""
    ended = asyncio.ensure_future(program.wait())
    closed = asyncio.ensure_future(process.wait_closed())
    try:
        await asyncio.wait((ended, closed), return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            # What it printed last may still be on its way.
            await process.stdout.drain()
            await process.stderr.drain()
            _report(process, ended.result())
            await closed
        else:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGHUP)
            # Not left alone: the loop would kill it when it closes.
            await ended
    finally:
        for each in (ended, closed):
            each.cancel()


def _report(process: asyncssh.SSHServerProcess[bytes], status: int) -> None:
    if status >= 0:
        process.exit(status)
    else:
        process.exit_with_signal(signal.Signals(-status).name.removeprefix("SIG"))


def _accepted(variables: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in variables.items() if name.startswith(_FROM_CLIENTS)}


def _shell() -> str:
    """Return the shell of this user, or `/bin/sh`."""
    try:
        own = pwd.getpwuid(os.getuid()).pw_shell
    except KeyError:
        own = ""
    return own if own and os.access(own, os.X_OK) else "/bin/sh"
