"""`picloud up --stack hashicorp` and `picloud down`: real servers, found, restarted and ended."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from botocore.exceptions import ClientError
from picloud_driver.s3.client import s3_client
from picloud_driver.stack.addresses import s3_of
from picloud_driver.stack.servers.s3 import access

from tests.e2e import processes
from tests.e2e.command_line import PICLOUD
from tests.e2e.user_home import CALL, SERVERS, TIMEOUT_S, UserHome
from tests.polling import until
from tests.servers.process import binary

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UserHome]:
    """A running stack for all tests that leave it running; no process of it is left behind."""
    running = UserHome(tmp_path_factory.mktemp("up"))
    try:
        running.up()
        yield running
        running.down()
        assert not processes.of_stack(running.data), processes.described(
            processes.of_stack(running.data)
        )
    finally:
        running.clear()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[UserHome]:
    """Another home, in which no server runs yet."""
    empty = UserHome(tmp_path)
    yield empty
    empty.clear()


def test_jobs_run_on_nomad(home: UserHome) -> None:
    """After `up --detach` calls and maps work, and Nomad shows bursts by account and first jid."""
    assert home.python(CALL) == "1024"
    assert home.python("print(sum(cloud.result(cloud.map(abs, range(500)))))") == "124750"

    assert "pc-a0000001-" in home.bursts()


def test_everything_stays_private(home: UserHome) -> None:
    """Keys, tokens, logs and data can be read by their owner only; tokens are not printed."""
    printed = home.up()

    stack = home.data / "stack"
    everything = [home.data, *stack.iterdir(), *(stack / "tls").iterdir()]
    assert {path.stat().st_mode & 0o077 for path in everything} == {0}
    secrets = [
        value
        for name, value in home.tokens().items()
        if name.endswith(("_TOKEN", "_ACCESS_KEY", "_ACCESS_KEY_ID"))
    ]
    assert len(secrets) == 6
    assert not [secret for secret in secrets if secret in printed]


@pytest.mark.parametrize(
    "command",
    [
        ("consul", "kv", "put", "a", "b"),
        ("consul", "kv", "delete", "picloudy"),
        ("consul", "acl", "token", "list"),
        ("nomad", "acl", "token", "list"),
        ("nomad", "system", "gc"),
        ("nomad", "var", "put", "a", "b=c"),
        ("nomad", "operator", "raft", "list-peers"),
        ("nomad", "node", "eligibility", "-disable", "-self"),
        ("vault", "kv", "list", "picloud"),
        ("vault", "token", "create"),
    ],
    ids=" ".join,
)
def test_the_apis_tokens_do_no_more_than_its_work(home: UserHome, command: tuple[str, ...]) -> None:
    """They open PiCloud's keys, slots and secrets only, and make no other tokens."""
    done = subprocess.run(
        [binary(command[0]), *command[1:]],
        env=home.tokens(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode != 0
    assert "ermission denied" in done.stderr or "403" in done.stderr


def test_the_apis_key_of_s3_is_for_its_bucket_only(home: UserHome) -> None:
    """It is not that of the administrator, cannot make a bucket, and cannot change rights."""
    bucket = s3_of(home.tokens())
    assert bucket
    client = s3_client(access(bucket), bucket.endpoint, 1)

    for forbidden in (
        lambda: client.create_bucket(Bucket="another"),
        lambda: client.delete_bucket_policy(Bucket=bucket.name),
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            forbidden()

    root = json.loads((home.data / "stack" / "s3.keys.json").read_text())
    assert bucket.access_key != root["access_key"]
    client.close()


def test_the_doctor_uses_every_server(home: UserHome) -> None:
    """With the tokens that the API has; a server that has died is named, with how to start it."""
    doctor = (PICLOUD, "admin", "doctor", "--data", str(home.data), "--json")
    in_order = json.loads(home.run(*doctor))

    home.kill9("vault")
    mended = json.loads(home.run(*doctor, status=1, out=True))
    home.up()

    assert {row["check"] for row in in_order} >= {*SERVERS, "certificates", "isolation"}
    assert [row for row in in_order if not row["ok"]] == []
    problems = {row["check"]: row["detail"] for row in mended if not row["ok"]}
    assert {"vault", "secrets"} >= problems.keys()
    assert "it is not running; picloud up starts" in problems["vault"]


def test_a_certificate_alone_opens_nothing(home: UserHome) -> None:
    """Nomad runs programs as our user, so a certificate without the token is refused; by Consul,
    too.
    """
    tokens = home.tokens()
    for command in (("nomad", "job", "status"), ("consul", "kv", "put", "a", "b")):
        stranger = {name: value for name, value in tokens.items() if "TOKEN" not in name}
        done = subprocess.run(
            [binary(command[0]), *command[1:]],
            env=stranger,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert "ermission denied" in done.stderr or "403" in done.stderr


def test_a_second_up_finds_everything(home: UserHome) -> None:
    """The processes and the address are the same, and a line for each says that it already ran."""
    before = home.pids()

    printed = home.up()

    assert home.pids() == before
    assert printed.count("ran already") == len(SERVERS)


@pytest.mark.parametrize("scheme", ["as written", "http"])
def test_its_own_addresses_name_no_other_servers(home: UserHome, scheme: str) -> None:
    """A shell that has read `stack/environment`, of this version or one without TLS, is no reason
    to take PiCloud's own servers for others.
    """
    user = UserHome(home.root, home.tokens())
    if scheme == "http":
        for name in ("nomad", "vault"):
            record = json.loads((home.data / "stack" / f"{name}.json").read_text())
            address = f"http://127.0.0.1:{record['ports']['http']}"
            user.environment[f"{name.upper()}_ADDR"] = address

    assert user.up().count("ran already") == len(SERVERS)


@pytest.mark.parametrize("name", [*SERVERS, "api"])
def test_a_second_up_starts_what_has_died(home: UserHome, name: str) -> None:
    """Only the dead server starts, on the same data and ports: earlier jobs are known, new ones
    run.
    """
    jid = home.python("jid = cloud.call(pow, 3, 4); cloud.join(jid, timeout=90); print(jid)")
    before = home.pids()

    home.kill9(name)
    home.up()

    after = home.pids()
    assert after[name] != before[name]
    assert after | {name: 0} == before | {name: 0}
    assert home.python(f"print(cloud.result({jid}, timeout=90))") == "81"
    assert home.python(CALL) == "1024"


def test_a_copy_of_the_data_is_a_backup(home: UserHome) -> None:
    """As docs/how-to/operate.md says: with its servers' data and keys, which belong together."""
    jid = home.python("jid = cloud.call(pow, 3, 5); cloud.join(jid, timeout=90); print(jid)")
    copy = home.root / "copy"

    home.down()
    home.run("cp", "-a", str(home.data), str(copy))
    shutil.rmtree(home.data)
    home.run("cp", "-a", str(copy), str(home.data))
    home.up()

    assert home.python(f"print(cloud.result({jid}, timeout=90))") == "243"
    assert home.python(CALL) == "1024"
    shutil.rmtree(copy)


def test_servers_that_run_are_used_by_their_address(home: UserHome, other: UserHome) -> None:
    """A second PiCloud over the same servers starts none, and does not stop them when it ends."""
    other.environment |= home.tokens()
    before = home.pids()

    printed = other.up()
    answer = other.python(CALL)
    other.down()

    assert printed.count("used as it is") == len(SERVERS)
    assert answer == "1024"
    processes.assert_none(other.data)
    assert home.pids() == before
    assert home.python(CALL) == "1024"


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"CONSUL_HTTP_ADDR": "127.0.0.1:1"}, "Consul at http://127.0.0.1:1 cannot answer"),
        ({"CONSUL_HTTP_TOKEN": "0" * 36}, "refuses our token"),
        ({"VAULT_ADDR": "http://127.0.0.1:1"}, "does not answer: is it running"),
        ({"VAULT_TOKEN": "hvs.wrong"}, "our token is wrong, expired or revoked"),
        ({"VAULT_TOKEN": ""}, "VAULT_TOKEN is not set"),
        ({"VAULT_CLIENT_CERT": ""}, "set VAULT_CLIENT_CERT and VAULT_CLIENT_KEY"),
        ({"VAULT_CACERT": ""}, "its certificate does not hold"),
        ({"NOMAD_ADDR": "http://127.0.0.1:1"}, "Nomad at http://127.0.0.1:1 cannot answer"),
        ({"NOMAD_TOKEN": "0" * 36}, "refuses the server's token"),
        ({"NOMAD_CLIENT_CERT": ""}, "does it require a client's certificate?"),
        ({"NOMAD_CACERT": ""}, "its certificate does not hold"),
        ({"CONSUL_HTTP_ADDR": "unix:///nonexistent/socket"}, "connection refused, is it running?"),
        ({"PICLOUD_S3_ENDPOINT": "http://127.0.0.1:1"}, "nothing answers there"),
        ({"PICLOUD_S3_BUCKET": "somebody-elses"}, "there is no such bucket"),
        ({"PICLOUD_S3_BUCKET": ""}, "PICLOUD_S3_BUCKET is not set"),
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "our secret key is not the access key's"),
    ],
    ids=lambda value: "=".join(*value.items()) if isinstance(value, dict) else "",
)
def test_a_server_that_cannot_be_used_is_named(
    home: UserHome, other: UserHome, wrong: dict[str, str], reason: str
) -> None:
    """A server given by its address is checked first: the error is one line, and nothing starts."""
    other.environment |= home.tokens() | wrong

    assert reason in other.refused()


def test_a_sealed_vault_is_told(home: UserHome, other: UserHome) -> None:
    """Only its owner can unseal a foreign Vault; our own is unsealed by the next `up`."""
    keys = json.loads((home.data / "stack" / "vault.keys.json").read_text())
    root = home.tokens() | {"VAULT_TOKEN": keys["root_token"]}
    subprocess.run([binary("vault"), "operator", "seal"], env=root, check=True)
    other.environment |= home.tokens()

    assert "it is sealed" in other.refused()
    home.up()
    assert other.up().count("used as it is") == len(SERVERS)


def test_a_port_that_is_taken_is_told(home: UserHome, other: UserHome) -> None:
    """The command prints the server's own sentence; servers that it had started end again."""
    other.environment |= home.tokens()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])

        printed = other.up("--detach", "--port", port, status=1)

    assert printed.startswith(f"error: Cannot listen on 127.0.0.1:{port}")
    processes.assert_none(other.data)


def test_a_program_that_is_missing_is_told(other: UserHome) -> None:
    """The error is one line that says where to get it; servers that it had started end again."""
    other.environment |= {"PATH": "/bin:/usr/bin", "XDG_CACHE_HOME": str(other.root)}

    printed = other.refused()

    assert "or newer is missing: get it from https://" in printed
    assert "make servers" in printed


@pytest.mark.parametrize(
    ("file", "reason"),
    [("stack/consul.json", "end the consul that"), ("up.json", "end the server that")],
)
def test_a_damaged_record_is_told(other: UserHome, file: str, reason: str) -> None:
    """The error names the file and says what to do; nothing is guessed."""
    path = other.data / file
    path.parent.mkdir(parents=True, mode=0o700)
    path.write_text('{"pid": ')

    message = other.refused()

    assert message.startswith(f"error: {path} is damaged: {reason}")


def test_a_record_of_another_process_is_no_server(other: UserHome) -> None:
    """A pid that now belongs to another program is neither used nor killed."""
    (other.data / "stack").mkdir(parents=True, mode=0o700)
    record = {"pid": os.getpid(), "birth": "another boot:1", "ports": {}}
    (other.data / "stack" / "consul.json").write_text(json.dumps(record))
    up = {"stack": "hashicorp", "url": "http://127.0.0.1:1", "key": "pk"}
    (other.data / "up.json").write_text(json.dumps(record | up))

    printed = other.down()

    assert printed.startswith("Nothing to stop")


def test_ctrl_c_stops_everything(other: UserHome) -> None:
    """In the foreground each server has a line, a dead one starts again, and Ctrl-C ends all of
    them.
    """
    command = [PICLOUD, "up", "--stack", "hashicorp", "--data", str(other.data), "--port", "0"]
    log = other.root / "said.txt"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command, env=other.environment, stdout=stream, stderr=stream, start_new_session=True
        )
    with process:
        until(lambda: "Ctrl-C stops it" in log.read_text() or process.poll(), "it serves", 90)
        assert process.poll() is None, log.read_text()
        jid = other.python("import time\nprint(cloud.call(time.sleep, 600))")
        until(lambda: "processing" in other.run(PICLOUD, "status", jid), "the job runs", TIMEOUT_S)
        other.kill9("s3")
        until(lambda: log.read_text().count("started in") > len(SERVERS), "S3 is back")

        process.send_signal(signal.SIGINT)

        assert process.wait(60) == 0, log.read_text()
    log_text = log.read_text()
    assert "s3 ended; starting it again" in log_text
    assert "does not isolate" in log_text
    assert "Not isolated, as " in log_text
    assert "Traceback" not in log_text
    processes.assert_none(other.data)
    mounts = Path("/proc/self/mounts").read_text()
    assert str(other.data) not in mounts


def test_down_ends_what_a_killed_nomad_has_left(other: UserHome) -> None:
    """Slots outlive their Nomad; `down` ends them and unmounts what they had mounted."""
    other.up()
    jid = other.python("import time\nprint(cloud.call(time.sleep, 600))")
    until(lambda: "processing" in other.run(PICLOUD, "status", jid), "the job runs", TIMEOUT_S)
    other.kill9("nomad")

    other.down()

    processes.assert_none(other.data)
    assert str(other.data) not in Path("/proc/self/mounts").read_text()


def test_down_stops_one_in_the_foreground(other: UserHome) -> None:
    """Run in another terminal, it ends the foreground command, which says so without an error."""
    command = [PICLOUD, "up", "--data", str(other.data), "--port", "0"]
    with subprocess.Popen(
        command, env=other.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        while "Ctrl-C" not in process.stdout.readline():
            assert process.poll() is None

        printed = other.down()
        _, errors = process.communicate(timeout=30)

    assert "stopped" in printed
    assert process.returncode == 0
    assert errors == "Stopped by picloud down.\n"


def test_the_embedded_stack_detached(other: UserHome) -> None:
    """`up --detach` and `down` without any vendor's server; a second `up` finds the stack."""
    detach = [PICLOUD, "up", "--data", str(other.data), "--port", "0", "--detach"]
    other.run(*detach)
    before = other.pids()
    assert other.python(CALL) == "1024"

    other.run(*detach)

    assert other.pids() == before
    assert "stopped" in other.down()
    processes.assert_none(other.data)
    assert other.down().startswith("Nothing to stop")


def test_several_processes_serve(other: UserHome) -> None:
    """`--processes` works on the hashicorp stack; the embedded one refuses it in a sentence."""
    other.up("--detach", "--port", "0", "--processes", "2")

    assert len(psutil.Process(other.pids()["api"]).children()) == 2
    assert other.python(CALL) == "1024"
    refused = [PICLOUD, "up", "--data", str(other.root / "more"), "--port", "0", "--processes", "2"]
    printed = other.run(*refused, status=1)
    sentence = "The embedded stack is served by one process; leave out --processes."
    assert printed == f"error: {sentence}\n"
