"""The SSH server of a job: who gets in, and what is refused."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncssh
import pytest
from picloud_driver.secret import ssh_certificate
from picloud_model.wire import SshOrder
from picloud_worker.tunnel import ssh_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from asyncssh import SSHClientConnection, SSHKey

PRINCIPAL = "a0000001-job-7"
SEED = bytes(range(32))


def identity(key: SSHKey, principal: str = PRINCIPAL, seed: bytes = SEED, valid_s: int = 60) -> Any:
    """A key with a certificate."""
    public = key.export_public_key().decode().strip()
    now = int(time.time())
    text = ssh_certificate.sign(seed, public, principal, (now - 30, now + valid_s))
    return (key, asyncssh.import_certificate(text))


@asynccontextmanager
async def connected(credential: Any, **options: Any) -> AsyncIterator[SSHClientConnection]:
    """A client that has logged in by a credential."""
    host = asyncssh.generate_private_key("ssh-ed25519")
    authority = ssh_certificate.public_line(SEED)
    order = SshOrder(authority, PRINCIPAL, host.export_private_key().decode())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    environment = {"PATH": os.defpath, "PICLOUD_JID": "7"}
    serving = asyncio.create_task(ssh_server.serve(theirs, order, environment, lambda: None))
    known = asyncssh.import_known_hosts(f"* {host.export_public_key().decode()}")
    try:
        async with asyncssh.connect(
            sock=ours, config=None, known_hosts=known, username="emp",
            client_keys=[credential], agent_path=None, **options,
        ) as connection:  # fmt: skip
            yield connection
    finally:
        ours.close()
        await serving


@pytest.fixture
def key() -> SSHKey:
    """The key of a client."""
    return asyncssh.generate_private_key("ssh-ed25519")


async def test_a_certificate_for_the_job_gets_in(key: SSHKey) -> None:
    """Commands have the environment of the job, both outputs, and their exit status."""
    async with connected(identity(key)) as connection:
        done = await connection.run("echo $PICLOUD_JID; cat; echo error >&2; exit 5", input="in\n")

        assert (done.stdout, done.stderr, done.exit_status) == ("7\nin\n", "error\n", 5)
        killed = await connection.run("kill -9 $$")
        assert killed.exit_signal is not None
        assert killed.exit_signal[0] == "KILL"
        variables = {"LC_ALL": "C.UTF-8", "LD_PRELOAD": "/nothing"}
        told = await connection.run("echo $LC_ALL$LD_PRELOAD", env=variables)
        assert told.stdout == "C.UTF-8\n"


async def test_output_larger_than_all_buffers(key: SSHKey) -> None:
    """What a command prints last arrives before its exit status, on both outputs."""
    count = 5_000_000
    program = f"import os,sys; sys.stdout.write('a' * {count}); sys.stderr.write('b' * {count})"
    async with connected(identity(key)) as connection:
        done = await connection.run(f'{sys.executable} -S -c "{program}"')

    assert (len(done.stdout or ""), len(done.stderr or "")) == (count, count)


async def test_a_terminal_has_the_size_of_the_clients(key: SSHKey) -> None:
    """Its size follows that of the client's, and the program controls it."""
    async with connected(identity(key)) as connection:
        shell = await connection.create_process(
            "read line; stty size; read line; stty size; tty", term_type="xterm", term_size=(77, 33)
        )
        shell.stdin.write("\n")
        assert "33 77" in await shell.stdout.readuntil("33 77")
        shell.change_terminal_size(50, 20)
        shell.stdin.write("\n")
        done = await shell.wait()

    assert "20 50" in str(done.stdout)
    assert "/dev/pts/" in str(done.stdout)
    assert done.exit_status == 0


async def test_ports_are_forwarded_to_the_job_only(key: SSHKey) -> None:
    """`ssh -L` works; `ssh -R` and the forwarding of agents are refused."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        writer.close()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    async with connected(identity(key)) as connection, listening:
        reader, writer = await connection.open_connection("127.0.0.1", port)
        writer.write(b"hello\n")
        assert await reader.readline() == b"hello\n"
        writer.close()
        with pytest.raises(asyncssh.ChannelListenError):
            await connection.forward_remote_port("127.0.0.1", 0, "127.0.0.1", port)
        done = await connection.run("echo $SSH_AUTH_SOCK")
        assert done.stdout == "\n"


async def test_files_are_transferred(key: SSHKey, tmp_path: Any) -> None:
    """By SFTP, of which scp and rsync are other users."""
    async with connected(identity(key)) as connection, connection.start_sftp_client() as sftp:
        (tmp_path / "here").write_bytes(b"x" * 100_000)
        await sftp.put(str(tmp_path / "here"), str(tmp_path / "there"))
        assert (tmp_path / "there").read_bytes() == b"x" * 100_000
        sftp.exit()
        await sftp.wait_closed()


@pytest.mark.parametrize(
    "refused",
    [
        {"principal": "a0000001-job-8"},
        {"principal": "a0000002-job-7"},
        {"principal": "emp"},
        {"principal": "root"},
        {"seed": bytes(32)},
        {"valid_s": -1},
    ],
    ids=str,
)
async def test_other_certificates_are_refused(key: SSHKey, refused: dict[str, Any]) -> None:
    """Neither another job's, nor another authority's, nor an expired one."""
    with pytest.raises(asyncssh.PermissionDenied):
        async with connected(identity(key, **refused)):
            pass


async def test_other_credentials_are_refused(key: SSHKey) -> None:
    """Neither a key without a certificate, nor the certificate of another key, nor a password."""
    another = asyncssh.generate_private_key("ssh-ed25519")
    _, certificate = identity(key)
    with pytest.raises(asyncssh.PermissionDenied):
        async with connected(key):
            pass
    with pytest.raises((asyncssh.PermissionDenied, ValueError)):
        async with connected((another, certificate)):
            pass
    with pytest.raises(asyncssh.PermissionDenied):
        async with connected(key, password="secret", preferred_auth="password"):
            pass


async def test_a_client_that_goes_ends_its_command(key: SSHKey, tmp_path: Any) -> None:
    """A command is hung up when its client disconnects, and the server ends after it."""
    mark = tmp_path / "hung-up"
    async with connected(identity(key)) as connection:
        # Without the shell's own message, whose reader has gone: it would end by SIGPIPE.
        trap = f"exec 2>/dev/null; trap 'touch {mark}; exit' HUP"
        script = f"{trap}; echo ready; while :; do sleep 0.05; done"
        process = await connection.create_process(script)
        assert await process.stdout.readline() == "ready\n"
        connection.abort()

    assert mark.exists()
