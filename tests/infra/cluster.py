"""Machines of the node image: containers on a network, each with an address of its own."""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import json
import os
import secrets
import shlex
import socket
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.infra import node_image
from tests.polling import until
from tests.servers.process import binary
from tests.servers.run_dockerd import program

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from tests.servers.run_dockerd import Dockerd

ROOT: Final = Path(__file__).parents[2]
SUBNET: Final = ipaddress.ip_network(f"10.213.{secrets.randbelow(256)}.0/24")
"""Not the same each time: a run that was killed leaves its network."""
SERVERS: Final = {f"server{number}": str(SUBNET[10 + number]) for number in (1, 2, 3)}
CLIENTS: Final = {f"client{number}": str(SUBNET[20 + number]) for number in (1, 2)}
API: Final = str(SUBNET[30])
API_MACHINES: Final = {"api": API, "api2": str(SUBNET[31])}
"""The API machines of a cluster that runs the API on its Nomad."""
API_NAME: Final = "picloud-api"
S3: Final = str(SUBNET[40])
ROUTE_PORT: Final = 6222
SLOTS: Final = 2
"""How many slots each client has."""
LATE_S: Final = 120.0
_ETC: Final = "/etc/picloud"
_S3_OPTIONS: Final = "--port :9000 --iam-dir /srv/users --quiet"
_BY_IDENTITY: Final = ("export CONSUL_HTTP_TOKEN=", "export VAULT_TOKEN=")
_OTHER_BRIDGE: Final = f"picloud-{secrets.token_hex(3)}"
"""Not the same each time, as the network."""
_ENVIRONMENT: Final = f". {_ETC}/machine/environment"


class Cluster:
    """A dockerd with the node image, and the machines that were started from it.

    Args:
        daemon: Where the image is.
        folder: Receives the secrets of the cluster.
        on_nomad: Whether Nomad runs the API, once a jobspec is run.
    """

    def __init__(self, daemon: Dockerd, folder: Path, *, on_nomad: bool = False) -> None:
        self._daemon = daemon
        self._on_nomad = on_nomad
        self.api_machines = API_MACHINES if on_nomad else {"api": API}
        self.secrets = folder / "secrets"
        self._s3_keys = {name: secrets.token_hex(20) for name in ("access", "secret")}
        self._root_token = self._unseal_key = ""
        command = [str(ROOT / "packer" / "make-secrets.sh"), str(self.secrets)]
        subprocess.run(command, check=True, capture_output=True)
        daemon.docker("network", "create", "--subnet", str(SUBNET), "cluster")

    def boot(self) -> None:
        """Start all machines, and bring the servers to where the API can use them."""
        self.start_s3()
        for name, address in SERVERS.items():
            self.start(name, "servers", address)
        shared = {"api_machines": list(API_MACHINES.values())} if self._on_nomad else {}
        for name, address in self.api_machines.items():
            own = {"data_bucket": "picloud-data", "on_nomad": self._on_nomad}
            self.start(name, "api", address, **own, **shared)
        for name, address in CLIENTS.items():
            self.start(name, "clients", address, core_type="c1", slots=SLOTS, **shared)
        try:
            self.open_vault()
            self.bootstrap()
        except TimeoutError as error:
            # The machines are gone before their logs can be read.
            for name in (*SERVERS, *self.api_machines, *CLIENTS):
                error.add_note(f"{name}: {self.log(name)}")
            raise

    def remove(self, name: str) -> None:
        """Take a machine away for good, with its disk."""
        self._daemon.docker("rm", "--force", name)

    @contextlib.contextmanager
    def split(self, names: Collection[str]) -> Iterator[None]:
        """Cut the connections between some machines and all others until the block ends.

        Nothing is refused: packets are lost, as when a switch fails. Machines on the same side
        reach each other.
        """
        network = self._daemon.docker("network", "inspect", "--format={{.Id}}", "cluster").stdout
        ports = [self._port(name) for name in names]
        _ip("link", "add", _OTHER_BRIDGE, "type", "bridge")
        try:
            _ip("link", "set", _OTHER_BRIDGE, "up")
            for port in ports:
                _ip("link", "set", port, "master", _OTHER_BRIDGE)
            yield
        finally:
            for port in ports:
                if Path("/sys/class/net", port).exists():  # unless its machine has ended
                    _ip("link", "set", port, "master", f"br-{network[:12]}")
            _ip("link", "delete", _OTHER_BRIDGE)

    def _port(self, name: str) -> str:
        """Return the network interface here that leads to a machine."""
        done = self._daemon.docker("exec", name, "cat", "/sys/class/net/eth0/iflink")
        return socket.if_indextoname(int(done.stdout))

    def end(self) -> None:
        """Remove all machines and their network."""
        names = self._daemon.docker("ps", "--all", "--quiet").stdout.split()
        if names:
            self._daemon.docker("rm", "--force", *names)
        self._daemon.docker("network", "rm", "cluster")

    def start(self, name: str, kind: str, address: str, **more: object) -> None:
        """Start a machine."""
        settings: dict[str, Any] = {
            "kind": kind,
            "name": "picloud",
            "region": "us-east-1",
            "servers": list(SERVERS.values()),
            "secrets": f"{_ETC}/secrets",
        }
        # Nomad makes a control group for each slot, and mounts a file system for its secrets.
        rights = ("--volume=/sys/fs/cgroup:/sys/fs/cgroup", "--cap-add=SYS_ADMIN")
        self._daemon.docker(
            *("create", "--name", name, "--hostname", name, "--init"),
            *(rights if kind == "clients" or more.get("on_nomad") else ()),
            *("--network", "cluster", "--ip", address),
            *("--volume", f"{self.secrets / kind}:{_ETC}/secrets:ro", node_image.IMAGE),
        )
        file = self.secrets / f"{name}.json"
        file.write_text(json.dumps(settings | more))
        self._daemon.docker("cp", str(file), f"{name}:{_ETC}/machine.json")
        self._daemon.docker("start", name)

    def start_s3(self) -> None:
        """Start an S3 server, which stands in for AWS's."""
        keys = self._s3_keys
        self._daemon.docker(
            *("run", "--detach", "--name", "s3", "--network", "cluster", "--ip", S3),
            "--entrypoint=sh",
            *("--env", f"ROOT_ACCESS_KEY_ID={keys['access']}"),
            *("--env", f"ROOT_SECRET_ACCESS_KEY={keys['secret']}"),
            *("--volume", f"{binary('versitygw')}:/usr/local/bin/versitygw:ro", node_image.IMAGE),
            *("-c", f"mkdir /srv/s3 /srv/users && exec versitygw {_S3_OPTIONS} posix /srv/s3"),
        )

    def execute(self, name: str, script: str) -> str:
        """Run a shell script on a machine, with the variables that name the servers.

        Raises:
            AssertionError: When it fails; has what it printed.
        """
        try:
            done = self._daemon.docker("exec", name, "sh", "-euc", f"{_ENVIRONMENT}; {script}")
        except subprocess.CalledProcessError as error:
            raise AssertionError(f"{name}: {error.stdout}{error.stderr}{self.log(name)}") from error
        return str(done.stdout).strip()

    def succeeds(self, name: str, script: str) -> bool:
        """Return whether a shell script runs to its end on a machine."""
        with contextlib.suppress(AssertionError):
            self.execute(name, script)
            return True
        return False

    def kill(self, name: str) -> None:
        """End a machine at once, as the loss of its power does."""
        self._daemon.docker("kill", "--signal", "KILL", name)

    def restart(self, name: str) -> None:
        """Start a machine that has ended again, with its disk."""
        self._daemon.docker("start", name)

    def log(self, name: str) -> str:
        """Return the end of what the servers of a machine have printed."""
        done = self._daemon.docker("logs", "--tail", "30", name)
        return f"{done.stdout}{done.stderr}"

    def open_vault(self) -> None:
        """Initialize Vault and unseal it on each server, as owners without a key service do."""
        init = "vault operator init -key-shares=1 -key-threshold=1 -format=json"
        made: list[str] = []

        def initialize() -> bool:
            with contextlib.suppress(AssertionError):
                made.append(self.execute("server1", f"{at('server1')}; {init}"))
            return bool(made)

        until(initialize, "Vault on server1 is initialized", LATE_S)
        keys = json.loads(made[0])
        self._root_token = keys["root_token"]
        self._unseal_key = keys["unseal_keys_b64"][0]
        for name in SERVERS:
            self.unseal(name)
        until(
            lambda: self.voters() == len(SERVERS), "all servers are voters of Vault's raft", LATE_S
        )

    def unseal(self, name: str) -> None:
        """Unseal the Vault of a server, which is sealed after each start."""
        script = f"{at(name)}; vault operator unseal {self._unseal_key}"
        until(lambda: self.succeeds("server2", script), f"Vault on {name} opens", LATE_S)

    def bootstrap(self) -> str:
        """Run `picloud admin bootstrap` on the API machine; return what it printed.

        The API finds its tokens in its secrets afterwards.
        """
        printed: list[str] = []

        def made() -> bool:
            with contextlib.suppress(AssertionError):
                printed.append(self.admin("bootstrap"))
            return bool(printed)

        until(made, "the servers are ready for bootstrap", LATE_S)
        return printed[0]

    def admin(self, *words: str) -> str:
        """Run a command of `picloud admin` that uses the cluster's keys; return what it printed.

        The API machines find the tokens that it has written.
        """
        keys = self._s3_keys
        variables = {
            "VAULT_TOKEN": self._root_token,
            "PICLOUD_S3_ENDPOINT": f"http://{S3}:9000",
            "AWS_ACCESS_KEY_ID": keys["access"],
            "AWS_SECRET_ACCESS_KEY": keys["secret"],
        }
        named = " ".join(f"{name}={shlex.quote(value)}" for name, value in variables.items())
        command = shlex.join(("picloud", "admin", *words, "--keys", "/root/picloud"))
        printed = self.execute("api", f"{named} {command}")
        tokens = self.execute("api", "cat /root/picloud/environment")
        # On Nomad, the API gets these by its identity.
        stored = [
            line
            for line in tokens.splitlines()
            if not (self._on_nomad and line.startswith(_BY_IDENTITY))
        ]
        (self.secrets / "api" / "environment").write_text("\n".join(stored) + "\n")
        return printed

    def managed(self, script: str) -> str:
        """Run a shell script on an API machine, as an administrator of Consul and Nomad."""
        keys = json.loads(self.execute("api", "cat /root/picloud/keys.json"))
        tokens = {
            "CONSUL_HTTP_TOKEN": keys["consul_management"],
            "NOMAD_TOKEN": keys["nomad_management"],
        }
        named = " ".join(f"{name}={value}" for name, value in tokens.items())
        return self.execute("api", f"export {named}; {script}")

    def as_vaults_owner(self, script: str) -> str:
        """Run a shell script on an API machine, with the first token of Vault."""
        return self.execute("api", f"export VAULT_TOKEN={self._root_token}; {script}")

    def client_state(self, name: str) -> tuple[str, str]:
        """Return the status of a client, and whether it takes slots; as Nomad has them."""
        found = self._client(name)
        return found.get("Status", ""), found.get("SchedulingEligibility", "")

    def joined_at(self, name: str) -> float:
        """Return when a client has registered with Nomad, in seconds since the epoch."""
        found = json.loads(self.managed(f"nomad node status -json {self._client(name)['ID']}"))
        return dt.datetime.fromisoformat(found["Events"][0]["Timestamp"]).timestamp()

    def _client(self, name: str) -> dict[str, str]:
        """Return what Nomad lists of a client."""
        nodes = json.loads(self.managed("nomad node status -json"))
        return next((each for each in nodes if each["Name"] == name), {})

    def runs(self, name: str) -> bool:
        """Return whether a machine runs."""
        done = self._daemon.docker("inspect", "--format={{.State.Running}}", name)
        return str(done.stdout).strip() == "true"

    def leader(self, program: str) -> str:
        """Return the server that leads the raft of Consul or Nomad; "" during an election."""
        leading = [peer for peer in self._peers(program) if "leader" in peer]
        return next(
            (
                name
                for name, address in SERVERS.items()
                for peer in leading
                if any(word.startswith(f"{address}:") for word in peer)
            ),
            "",
        )

    def raft_voters(self, program: str) -> int:
        """Return how many servers vote in the raft of Consul or Nomad; 0 during an election."""
        return sum("true" in peer for peer in self._peers(program))

    def _peers(self, program: str) -> list[list[str]]:
        """Return what Consul or Nomad says of each server, as words."""
        peers = self.managed(f"{program} operator raft list-peers || true")
        return [row.split() for row in peers.splitlines()]

    def begin(self, source: str, name: str = "api") -> subprocess.Popen[str]:
        """Start a Python program on an API machine, which uses the API as a user would."""
        host = API_NAME if self._on_nomad else API
        key = f"PICLOUD_URL=http://{host}:8787 PICLOUD_API_KEY={self._key()}"
        script = f"export {key}; exec /opt/picloud/venv/bin/python -c {shlex.quote(source)}"
        command = [program("docker"), "exec", name, "sh", "-euc", script]
        environment = {"DOCKER_HOST": self._daemon.host, "PATH": os.environ["PATH"]}
        return subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def python(self, source: str) -> str:
        """Run a Python program on the API machine to its end; return what it printed."""
        return self.result(self.begin(source))

    def first_line(self, running: subprocess.Popen[str]) -> str:
        """Wait for a program to print a line, and return it."""
        output = running.stdout
        assert output
        # In a thread: a program that prints nothing must not stop the tests.
        lines: list[str] = []
        reading = threading.Thread(target=lambda: lines.append(output.readline()))
        reading.start()
        reading.join(LATE_S)
        if not lines or not lines[0]:
            running.kill()
            return self.result(running)
        return lines[0].strip()

    def result(self, running: subprocess.Popen[str]) -> str:
        """Wait for a program to end; return what it printed."""
        try:
            printed, errors = running.communicate(timeout=LATE_S)
        except subprocess.TimeoutExpired:
            running.kill()
            printed, errors = running.communicate()
        assert running.returncode == 0, errors + self.log("api") + self.log("client1")
        return printed.strip()

    def _key(self) -> str:
        """Return the first API key, as soon as the API has made it."""
        found: list[str] = []

        def is_ready() -> bool:
            for name in self.api_machines:
                with contextlib.suppress(AssertionError):
                    found.append(self.execute(name, "grep . /var/lib/picloud/api/ready.json"))
            return bool(found)

        until(is_ready, "the API runs", LATE_S)
        return str(json.loads(found[0])["key"])

    def routes(self, name: str) -> int:
        """Return how many connections the NATS of a server has with those of others."""
        # Ports are hexadecimal there, and 01 is a connection that is established.
        count = f"""awk '$4 == "01" && ($2 $3) ~ /:{ROUTE_PORT:04X}/' /proc/net/tcp | wc -l"""
        return int(self.execute(name, count))

    def voters(self) -> int:
        """Return how many servers vote in Vault's raft."""
        list_peers = f"{at('server1')}; vault operator raft list-peers -format=json"
        with contextlib.suppress(AssertionError):
            found = self.execute("server1", f"export VAULT_TOKEN={self._root_token}; {list_peers}")
            peers = json.loads(found)["data"]["config"]["servers"]
            return sum(peer["voter"] for peer in peers)
        return 0


@contextlib.contextmanager
def cluster(daemon: Dockerd, folder: Path, *, on_nomad: bool = False) -> Iterator[Cluster]:
    """Boot three servers, two clients, one or two API machines and an S3 server from the image."""
    made = Cluster(daemon, folder, on_nomad=on_nomad)
    try:
        made.boot()
        yield made
    finally:
        made.end()


def at(name: str) -> str:
    """Return the shell command that chooses the Vault of one server."""
    return f"export VAULT_ADDR=https://{SERVERS[name]}:8200"


def _ip(*arguments: str) -> None:
    subprocess.run([program("ip"), *arguments], check=True, capture_output=True)
