"""`picloud ssh` and the files for other clients of SSH, on every stack."""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from cloud import CloudException, shortcuts
from cloud._resources.tunnel import TunnelClient
from cloud.command import NEXT_SHELL_S

from tests.current_client import current_client
from tests.e2e.command_line import PICLOUD
from tests.e2e.terminal import Terminal
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloud._client.client import Client

    from tests.e2e.command_line import Exited
    from tests.e2e.stacks import Stack

WAIT_S = 60.0


def work(path: str) -> str:
    """A job that runs until a file exists."""
    Path("of-the-job").write_text("written by the job")
    while not Path(path).exists():
        time.sleep(0.02)
    return "done"


@pytest.fixture
def jid(client: Client, stack: Stack, tmp_path: Path) -> Iterator[int]:
    """A job that runs, with an environment variable of its own."""
    stop = stack.shared / f"stop-{os.getpid()}-{tmp_path.name}"
    job = int(client.call(work, str(stop), _os_env_vars={"GREETING": "hello"}))
    yield job
    stop.touch()
    client.join(job, WAIT_S, ignore_errors=True)


def test_a_command_in_a_job(picloud: Callable[..., Exited], stack: Stack, jid: int) -> None:
    """It has the job's directory, variables and user, its own input, and its exit status counts.

    It waits until the job has started.
    """
    script = "cat of-the-job -; echo $GREETING $PICLOUD_JID; id -u; echo problem >&2; exit 7"

    done = picloud("ssh", str(jid), script, given=b" and the client\n")

    written, greeting, user = done.out.splitlines()
    assert (written, greeting) == ("written by the job and the client", f"hello {jid}")
    # In containers, slots choose another user for their jobs.
    assert (int(user) == os.getuid()) is (stack.name != "docker")
    assert (done.code, "problem\n" in done.err) == (7, True)
    assert picloud("ssh", str(jid), "python", "-c", "'import cloud; print(1)'").out == "1\n"


def test_a_shell_in_a_terminal(stack: Stack, tmp_path: Path, jid: int) -> None:
    """It has the size of the user's terminal; Ctrl-C reaches the command in it."""
    terminal = Terminal(stack.environment(), tmp_path, PICLOUD, "ssh", str(jid), columns=91)
    try:
        terminal.type("stty size; echo $GREETING-$PICLOUD_JID\n")
        terminal.until_shown("24 91")
        terminal.until_shown(f"hello-{jid}")
        # The terminal shows what is typed, too, but `begun` only when the command has the terminal.
        terminal.type("""sh -c 'echo be""gun; exec sleep 1000'\n""")
        terminal.until_shown("begun")
        terminal.press_ctrl_c()
        terminal.type("exit 5\n")
        assert terminal.until_ended() == 5
    finally:
        terminal.close()


def test_files_and_ports_with_the_users_own_programs(
    picloud: Callable[..., Exited], stack: Stack, tmp_path: Path, jid: int
) -> None:
    """`ssh-info` writes a configuration that scp and sftp use, and `ssh-config` lines for a file.

    Forwarding a port of the job and of an agent is refused.
    """
    info = json.loads(picloud("ssh-info", str(jid), "--json").out)
    config, host = ("-F", info["config"]), info["address"]
    assert Path(info["identity"]).stat().st_mode & 0o077 == 0
    (tmp_path / "data").write_bytes(os.urandom(3_000_000))

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            env=stack.environment(),
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            check=False,
        )

    copied = run("scp", *config, str(tmp_path / "data"), f"{host}:copied")
    assert copied.returncode == 0, copied.stderr
    back = run("scp", "-O", *config, f"{host}:copied", str(tmp_path / "back"))
    assert back.returncode == 0, back.stderr
    assert (tmp_path / "back").read_bytes() == (tmp_path / "data").read_bytes()
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "leaf").write_bytes(os.urandom(1000))
    shell = shlex.join(["ssh", *config])
    synced = run("rsync", "-a", "-e", shell, f"{tmp_path}/tree/", f"{host}:tree/")
    assert synced.returncode == 0, synced.stderr
    (tmp_path / "fetched").mkdir()
    (tmp_path / "commands").write_text(f"lcd {tmp_path / 'fetched'}\nget copied\nget tree/leaf\n")
    fetched = run("sftp", *config, "-b", str(tmp_path / "commands"), host)
    assert fetched.returncode == 0, fetched.stderr
    for name, original in (("copied", "data"), ("leaf", "tree/leaf")):
        assert (tmp_path / "fetched" / name).read_bytes() == (tmp_path / original).read_bytes()
    refused = run(
        "ssh", "-A", "-o", "ExitOnForwardFailure=yes", "-R", "0:localhost:9", *config, host, "true"
    )
    assert "remote port forwarding failed" in refused.stderr
    lines = picloud("ssh-config", str(jid)).out
    (tmp_path / "lines").write_text(lines)
    answer = run("ssh", "-F", str(tmp_path / "lines"), host, "echo", "by", "name")
    assert answer.stdout == "by name\n", answer.stderr


def test_a_local_port_is_forwarded(stack: Stack, jid: int) -> None:
    """`picloud ssh -L` reaches what the job reaches."""
    with (
        socket.create_server(("127.0.0.1", 0)) as inner,
        socket.create_server(("127.0.0.1", 0)) as free,
    ):
        port, local = inner.getsockname()[1], free.getsockname()[1]
        free.close()
        forward = f"{local}:127.0.0.1:{port}"
        with subprocess.Popen(
            [PICLOUD, "ssh", "-L", forward, str(jid), "echo ready; cat"],
            env=stack.environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        ) as connected:  # fmt: skip
            assert connected.stdin is not None
            assert connected.stdout is not None
            assert connected.stdout.readline() == b"ready\n"
            inner.settimeout(WAIT_S)
            with socket.create_connection(("127.0.0.1", local), WAIT_S) as outer:
                outer.sendall(b"hello")
                accepted, _ = inner.accept()
                with accepted:
                    assert accepted.recv(5, socket.MSG_WAITALL) == b"hello"
            connected.stdin.close()
            assert connected.wait(WAIT_S) == 0


def test_what_runs_in_a_shell_ends_with_the_job(
    client: Client, stack: Stack, picloud: Callable[..., Exited], jid: int
) -> None:
    """A program that was left running goes on after its client has gone, and ends with the job."""
    mark = stack.shared / f"mark-{os.getpid()}-{jid}"
    loop = f"while :; do echo x >> {shlex.quote(str(mark))}; sleep 0.05; done"
    command = f"nohup setsid sh -c {shlex.quote(loop)} < /dev/null > /dev/null 2>&1 &"
    assert picloud("ssh", str(jid), command).code == 0
    until(mark.exists, "the program writes")
    written = mark.stat().st_size
    until(lambda: mark.stat().st_size > written, "the program goes on")
    environment = stack.environment()
    with subprocess.Popen(
        [PICLOUD, "ssh", str(jid), "echo ready; sleep 1000"],
        env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as connected:  # fmt: skip
        assert connected.stdout is not None
        assert connected.stdout.readline() == b"ready\n"

        client.kill(jid)

        assert connected.wait(WAIT_S) == 255

    def has_ended() -> bool:
        size = mark.stat().st_size
        time.sleep(0.3)  # several times as long as the program takes between two marks
        return mark.stat().st_size == size

    until(has_ended, "the program has ended with the job")
    ended = picloud("ssh", str(jid))
    assert (ended.code, ended.err.count("\n")) == (3, 1)
    assert f"Job {jid}" in ended.err


def test_a_job_for_a_shell_ends_with_the_last_one(
    client: Client, stack: Stack, tmp_path: Path
) -> None:
    """Not with the first one while another is open, and also when a client is killed."""
    environment = stack.environment()
    terminal = Terminal(environment, tmp_path, PICLOUD, "exec-shell", "--os-env", "GREETING=hello")
    try:
        shown = terminal.until_shown(" was created")
        terminal.type("echo $GREETING-$PICLOUD_JID-shell\n")
        job = int(shown.partition("Job ")[2].partition(" ")[0])
        terminal.until_shown(f"hello-{job}-shell")
        second = subprocess.Popen(
            [PICLOUD, "ssh", str(job), "echo ready; sleep 1000"],
            env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        )  # fmt: skip
        with second:
            assert second.stdout is not None
            assert second.stdout.readline() == b"ready\n"
            terminal.type("exit 6\n")
            assert terminal.until_ended() == 6
            time.sleep(NEXT_SHELL_S + 0.5)  # after that long without a shell the job would end
            assert client.status(job) == "processing"
            for each in (*psutil.Process(second.pid).children(recursive=True), second):
                each.kill()
        until(lambda: client.status(job) == "done", "the job ends with its last shell")
    finally:
        terminal.close()


def test_a_job_for_shells_with_options_that_is_kept(
    client: Client, picloud: Callable[..., Exited], tmp_path: Path
) -> None:
    """It has the cores and the volume of its options, is a job as any other, and goes on."""
    volume = f"shells-{tmp_path.name}".replace("_", "-")[:60]
    (tmp_path / "data").write_text("of the volume")
    assert picloud("volume", "create", volume, f"/{volume}").code == 0
    assert picloud("volume", "sync", f"{tmp_path / 'data'}", f"{volume}:").code == 0

    done = picloud(
        *("exec-shell", "-t", "c2", "-c", "2", "-v", volume, "--keep-alive", "--label", "kept"),
        given=f"cat /{volume}/data; exit 6\n".encode(),
    )

    assert (done.code, done.out) == (6, "of the volume"), done.err
    jid = int(done.err.partition("Job ")[2].partition(" ")[0])
    assert f"Job {jid} goes on" in done.err
    info = client.info(jid, ["status", "label", "vol", "attributes"])[jid]
    options = info.pop("attributes")
    assert info == {"status": "processing", "label": "kept", "vol": [volume]}
    assert (options["core_type"], options["cores"]) == ("c2", 2)
    assert picloud("ssh", str(jid), "true").code == 0
    client.kill(jid)


def test_jobs_of_others_and_other_jobs(
    client: Client, other: Client, picloud: Callable[..., Exited], jid: int
) -> None:
    """No shell of another account's job, nor of one that does not exist."""
    # The other account has no job of this number, or another one, which has ended.
    with pytest.raises(CloudException):
        TunnelClient(other.transport).connect_shell(jid)
    missing = picloud("ssh", str(10**9))
    assert (missing.code, missing.err) == (
        1,
        f"error: There is no job {10**9} in your account.\n",
    )
    with current_client(client), pytest.raises(CloudException, match="no job"):
        shortcuts.ssh.get_ssh_info(10**9)
