"""A second machine of the Nomad of `picloud up`: a Nomad client with a dockerd of its own.

It is a stand-in that shares the network of this machine: images and containers are its own.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

import requests
from picloud_driver.docker import firewall, machine
from picloud_driver.docker.engine import Engine

from tests import guard
from tests.polling import until
from tests.servers import image
from tests.servers.process import HOST, binary, free_ports, scratch
from tests.servers.run_dockerd import Dockerd, dockerd
from tests.servers.run_registry import CONFIG

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.user_home import UserHome
    from tests.servers.run_registry import Registry

NAME: Final = "second"
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@contextlib.contextmanager
def second_machine(home: UserHome, registry: Registry) -> Iterator[Dockerd]:
    """Let a second machine run the slots of a stack, and the first one none, until the block ends.

    Args:
        home: Where `picloud up` has started the stack.
        registry: From which the machine pulls images, with a password of its own.

    Yields:
        The dockerd of the machine.
    """
    own = json.loads((home.data / "stack/nomad/nomad.json").read_text())
    with dockerd() as daemon, scratch("second-nomad") as folder:
        image.load(daemon)
        network = home.tokens()["PICLOUD_SLOT_NETWORK"]
        _prepare(home, daemon)
        config = folder / "nomad.json"
        config.write_text(json.dumps(_config(own, folder)))
        environment = {
            "PATH": f"{CONFIG}:{_PATH}",
            "HOME": str(folder),
            "DOCKER_HOST": daemon.host,
            "PICLOUD_REGISTRY_LOGIN": str(registry.machine_login / "login"),
        }
        slots = folder / "data" / "alloc"
        slots.mkdir(parents=True)
        commands = [
            [binary("nomad"), "agent", f"-config={config}"],
            [sys.executable, "-P", "-m", "picloud_worker.mount.machine", "--slots", str(slots)],
        ]
        with (folder / "nomad.log").open("wb") as log:
            programs = [
                subprocess.Popen(each, env=environment, cwd=folder, stdout=log, stderr=log)
                for each in commands
            ]
        try:
            until(lambda: _drain_others(home), f"the machine {NAME} is ready: {folder}/nomad.log")
            yield daemon
        finally:
            for container in daemon.docker("ps", "--all", "--quiet").stdout.split():
                daemon.docker("rm", "--force", container)
            for program in programs:
                program.terminate()
                program.wait()
            guard.unmount(folder)
            Engine(daemon.host).clear(network, kept="none")
            firewall.remove(machine.interface(network))


def _prepare(home: UserHome, daemon: Dockerd) -> None:
    """Make the network of slots, which reach the API, S3 and gateways of the first machine."""
    named = home.tokens()
    host = named["PICLOUD_SLOT_HOST"]
    s3 = named["PICLOUD_S3_ENDPOINT"].rpartition(":")[2]
    ports = [str(api_port(home)), s3, *named["PICLOUD_SLOT_GATEWAY_PORTS"].split(",")]
    reach = [f"--reach={host}:{port}" for port in ports]
    command = [sys.executable, "-P", "-m", "picloud_driver.docker.machine", *reach]
    command += [f"--network={named['PICLOUD_SLOT_NETWORK']}", f"--docker={daemon.host}"]
    for _ in range(2):  # the second changes nothing
        subprocess.run(command, check=True)


def api_port(home: UserHome) -> int:
    """Return the port of the API."""
    record = json.loads((home.data / "up.json").read_text())
    return int(record["url"].rpartition(":")[2])


def failed_pulls(home: UserHome) -> list[str]:
    """Return what Nomad says of slots whose image could not be pulled."""
    return [
        event["DisplayMessage"]
        for place in _ask(home, "GET", "allocations?task_states=true")
        for state in (place["TaskStates"] or {}).values()
        for event in state["Events"]
        if "Failed to pull" in event["DisplayMessage"]
    ]


def _config(own: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return the settings of the machine, given those of the Nomad of the stack."""
    kinds = ("http", "rpc", "serf")
    ports = dict(zip(kinds, free_ports(len(kinds)), strict=True))
    servers = [f"{HOST}:{own['ports']['rpc']}"]
    plugin = {"gc": [{"image": False}], "auth": [{"helper": "picloud"}]}
    return {
        **{name: value for name, value in own.items() if name != "server"},
        "name": NAME,
        "data_dir": str(folder / "data"),
        "ports": ports,
        "advertise": {kind: f"{HOST}:{port}" for kind, port in ports.items()},
        "client": {**own["client"], "servers": servers},
        "plugin": {**own["plugin"], "docker": {"config": [plugin]}},
        "log_level": "INFO",
    }


@contextlib.contextmanager
def first_takes_slots(home: UserHome) -> Iterator[None]:
    """Let the machine of the stack run slots as well, until the block ends."""
    first = [each for each in _ready(home, eligible=False) if each["Name"] != NAME]
    _set_eligibility(home, first, "eligible")
    try:
        yield
    finally:
        _set_eligibility(home, first, "ineligible")


def _drain_others(home: UserHome) -> bool:
    """Let only the second machine run slots, if it is ready; return whether it is."""
    is_ready = any(node["Name"] == NAME for node in _ready(home, eligible=True))
    if is_ready:
        others = [node for node in _ready(home, eligible=True) if node["Name"] != NAME]
        _set_eligibility(home, others, "ineligible")
    return is_ready


def _ready(home: UserHome, *, eligible: bool) -> list[dict[str, Any]]:
    """Return the machines whose docker works, and that accept slots or not."""
    return [
        node
        for node in _ask(home, "GET", "nodes?resources=true")
        if node["Status"] == "ready"
        and node["Drivers"].get("docker", {}).get("Healthy")
        and (node["SchedulingEligibility"] == "eligible") is eligible
    ]


def _set_eligibility(home: UserHome, nodes: list[dict[str, Any]], eligibility: str) -> None:
    for node in nodes:
        body = {"Eligibility": eligibility}
        _ask(home, "POST", f"node/{node['ID']}/eligibility", body)


def _ask(home: UserHome, method: str, path: str, body: object = None) -> Any:
    """Ask the Nomad of a stack as its administrator."""
    named = home.tokens()
    keys = json.loads((home.data / "stack/nomad.keys.json").read_text())
    answer = requests.request(
        method,
        f"{named['NOMAD_ADDR']}/v1/{path}",
        json=body,
        headers={"X-Nomad-Token": keys["token"]},
        cert=(named["NOMAD_CLIENT_CERT"], named["NOMAD_CLIENT_KEY"]),
        verify=named["NOMAD_CACERT"],
        timeout=10,
    )
    answer.raise_for_status()
    return answer.json()
