"""Tunnels: tickets and certificates open what they were issued for, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import asyncssh
import pytest
from cloud._resources.tunnel import TunnelClient

from tests.attacks.held_job import held_job

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloud._client.client import Client

    from tests.attacks.sender import Sender
    from tests.e2e.stacks import Stack


@pytest.fixture(scope="module")
def jobs(stack: Stack) -> Iterator[tuple[Client, int, int]]:
    """The client of an account, and two of its jobs, which run."""
    with (
        contextlib.closing(stack.client()) as client,
        held_job(stack, client) as one,
        held_job(stack, client) as other,
    ):
        client.wait_for_status([one, other], "processing", 60)
        yield client, one, other


@pytest.fixture(scope="module")
def key() -> asyncssh.SSHKey:
    """The key of an attacker."""
    return asyncssh.generate_private_key("ssh-ed25519")


def certified(client: Client, jid: int, key: asyncssh.SSHKey) -> tuple[Any, str]:
    """Return a credential for a job, and the key of the job."""
    public = " ".join(key.export_public_key().decode().split()[:2])
    issued = TunnelClient(client.transport).certify(jid, public)
    return (key, asyncssh.import_certificate(issued.certificate)), issued.host_key


def run(
    client: Client, jid: int, credential: Any, host_key: str, command: str = "id -u", **options: Any
) -> str:
    """Run a command in a job by SSH; return what it prints."""

    async def connect() -> str:
        stream = TunnelClient(client.transport).connect_shell(jid)
        stream.setblocking(False)
        known = asyncssh.import_known_hosts(f"* {host_key}")
        chosen = {"username": "emp", "agent_path": None, "config": None, **options}
        async with asyncssh.connect(
            sock=stream, known_hosts=known, client_keys=[credential], **chosen
        ) as connection:
            done = await connection.run(command)
            return str(done.stdout)

    return asyncio.run(connect())


def test_a_certificate_is_for_one_job(jobs: tuple[Client, int, int], key: asyncssh.SSHKey) -> None:
    """That of another job of the same account is refused, and so is a key without one."""
    client, one, other = jobs
    credential, _ = certified(client, one, key)
    theirs, host_key = certified(client, other, key)

    for refused in (credential, key):
        with pytest.raises(asyncssh.PermissionDenied):
            run(client, other, refused, host_key)
    assert run(client, other, theirs, host_key).strip().isdigit()


def test_no_job_passes_for_another(jobs: tuple[Client, int, int], key: asyncssh.SSHKey) -> None:
    """Its key is its own: a client that was connected to another job notices."""
    client, one, other = jobs
    _, host_key = certified(client, one, key)
    credential, _ = certified(client, other, key)

    with pytest.raises(asyncssh.HostKeyNotVerifiable):
        run(client, other, credential, host_key)


def test_the_name_by_which_one_logs_in_gives_no_rights(
    jobs: tuple[Client, int, int], key: asyncssh.SSHKey
) -> None:
    """As root, as the user of another job, or by any other name: the shell is that of the job."""
    client, one, _ = jobs
    credential, host_key = certified(client, one, key)
    user = run(client, one, credential, host_key)

    for name in ("root", "../../$(id)"):
        assert run(client, one, credential, host_key, username=name) == user


def test_nothing_leads_back_to_the_client(
    jobs: tuple[Client, int, int], key: asyncssh.SSHKey
) -> None:
    """Neither its agent nor a port of the job is forwarded, and X11 is not either."""
    client, one, _ = jobs
    credential, host_key = certified(client, one, key)

    async def ask() -> None:
        stream = TunnelClient(client.transport).connect_shell(one)
        stream.setblocking(False)
        async with asyncssh.connect(
            sock=stream, config=None, known_hosts=asyncssh.import_known_hosts(f"* {host_key}"),
            username="emp", client_keys=[credential], agent_path=None,
        ) as connection:  # fmt: skip
            with pytest.raises(asyncssh.ChannelListenError):
                await connection.forward_remote_port("127.0.0.1", 0, "127.0.0.1", 9)
            done = await connection.run("echo $SSH_AUTH_SOCK$DISPLAY")
            assert done.stdout == "\n"

    asyncio.run(ask())


def test_the_port_of_a_gateway_opens_nothing_without_a_ticket(
    jobs: tuple[Client, int, int], stack: Stack, sender: Sender
) -> None:
    """Altered ones, used ones, keys and requests of other protocols are refused; others go on."""
    _, one, _ = jobs
    body = {"jid": one}
    opened = sender.send("POST", "/v1/tunnels/ssh", body).body()
    port, ticket = opened["port"], opened["ticket"]
    head, stream, end, until, mac = ticket.split("_")
    altered = [
        f"{head}_{stream[::-1]}_{end}_{until}_{mac}",
        f"{head}_{stream}_slot_{until}_{mac}",
        f"{head}_{stream}_{end}_{int(until) + 1000}_{mac}",
        f"{head}_{stream}_{end}_{until}_{'0' * 32}",
        *(sender.key, "GET / HTTP/1.1\r", "", "\x00" * 150, "x" * 10**6),
    ]

    for text in altered:
        assert ask(stack, port, text) in (b"The ticket is not valid", b"")
    assert ask(stack, port, ticket) == b"ok\nSSH-2.0-"
    assert ask(stack, port, ticket) == b"The ticket is not valid"


def ask(stack: Stack, port: int, text: str) -> bytes:
    """Send a line to a gateway; return the first bytes of its answer."""
    host = urlsplit(stack.url).hostname
    with socket.create_connection((host, port), 20) as connected, contextlib.suppress(OSError):
        connected.sendall(text.encode() + b"\n")
        received = b""
        while len(received) < 11 and (data := connected.recv(200)):
            received += data
        return received[:23] if received.startswith(b"The") else received[:11]
    return b""


def test_jobs_of_another_account_are_not_there(
    jobs: tuple[Client, int, int], sender: Sender, key: asyncssh.SSHKey
) -> None:
    """No stream, no shell and no certificate: the answer is that for a job that does not exist."""
    _, one, _ = jobs
    public = " ".join(key.export_public_key().decode().split()[:2])
    for path, more in (
        ("/v1/tunnels", {"port": 8000}),
        ("/v1/tunnels/ssh", {}),
        ("/v1/tunnels/certificate", {"public_key": public}),
    ):
        reply = sender.send("POST", path, {"jid": one + 10**6, **more}, sender.other)
        theirs = sender.send("POST", path, {"jid": one, **more}, sender.other)
        assert (reply.status, theirs.status in (404, 422)) == (404, True)
        assert b"ticket" not in theirs.data
        assert b"certificate" not in theirs.data


@pytest.mark.parametrize(
    "suffix",
    ["\n", " root", "\nssh-ed25519 AAAA", ",cert-authority", "\x00", " \u202e"],
)
def test_public_keys_carry_nothing_else(
    jobs: tuple[Client, int, int], sender: Sender, key: asyncssh.SSHKey, suffix: str
) -> None:
    """A second line, an option or a comment in a key is refused before anything is signed."""
    _, one, _ = jobs
    public = " ".join(key.export_public_key().decode().split()[:2])
    body = {"jid": one, "public_key": public + suffix}

    assert sender.send("POST", "/v1/tunnels/certificate", body).status == 422
