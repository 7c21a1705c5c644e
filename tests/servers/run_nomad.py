"""A Nomad cluster of one node for a test."""

import contextlib
import dataclasses
import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import urllib3

from tests import guard
from tests.servers.process import (
    HOST,
    ServerProcess,
    binary,
    free_ports,
    scratch,
    server,
    wait_until,
)

COMMON_CONFIG = Path(__file__).parent / "nomad" / "agent.hcl"
STOP_TIMEOUT_S = 30.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Nomad:
    """A running Nomad agent, server and client in one, without ACLs."""

    address: str
    node_id: str
    node_name: str
    directory: Path
    process: ServerProcess

    def stop_jobs(self) -> None:
        """Stop and purge every job, and wait until nothing of them runs."""
        for job in _get(self.address, "jobs?namespace=*"):
            path = f"job/{job['ID']}?purge=true&namespace={job['Namespace']}"
            _request("DELETE", self.address, path)
        wait_until(self._is_idle, "all allocations have ended", STOP_TIMEOUT_S)
        # Without it the agent leaves the allocations' directories, and mounts in them, behind.
        _request("PUT", self.address, "system/gc")

    def _is_idle(self) -> bool:
        allocations = _get(self.address, "allocations?namespace=*")
        return all(found["ClientStatus"] not in {"pending", "running"} for found in allocations)


@contextlib.contextmanager
def nomad(
    *, meta: Mapping[str, str] | None = None, docker_host: str | None = None
) -> Iterator[Nomad]:
    """Run one Nomad agent with the raw_exec driver, and docker where a dockerd runs.

    State is on disk: `process.kill()` ends agent and tasks as the loss of a machine would, and
    `process.start()` brings the agent back.

    Args:
        meta: The node's meta, on which jobs may put constraints.
        docker_host: Where dockerd listens, when not on its usual socket.
    """
    with scratch("nomad") as directory:
        http, rpc, serf = free_ports(3)
        address = f"http://{HOST}:{http}"
        name = f"nomad-{http}"
        config = directory / "nomad.json"
        config.write_text(json.dumps(_config(directory, name, (http, rpc, serf), meta or {})))
        command = [binary("nomad"), "agent", f"-config={COMMON_CONFIG}", f"-config={config}"]
        url = f"{address}/v1/status/leader"
        environment = {"DOCKER_HOST": docker_host} if docker_host else {}
        with (
            _unmounted(directory),
            server(command, directory=directory, url=url, environment=environment) as process,
        ):
            yield from _with_node(address, name, directory, process)


def _with_node(address: str, name: str, directory: Path, process: ServerProcess) -> Iterator[Nomad]:
    wait_until(lambda: bool(_ready_nodes(address)), "the Nomad node is ready")
    running = Nomad(
        address=address,
        node_id=_ready_nodes(address)[0]["ID"],
        node_name=name,
        directory=directory,
        process=process,
    )
    try:
        yield running
    finally:
        # Tasks outlive their agent by design. An agent that a test has killed took them along.
        if process.running():
            running.stop_jobs()


def _config(
    directory: Path, name: str, ports: tuple[int, int, int], meta: Mapping[str, str]
) -> dict[str, object]:
    kinds = ("http", "rpc", "serf")
    return {
        "name": name,
        "data_dir": str(directory / "data"),
        "ports": dict(zip(kinds, ports, strict=True)),
        # Nomad advertises a loopback address only when told so.
        "advertise": {kind: f"{HOST}:{port}" for kind, port in zip(kinds, ports, strict=True)},
        "client": {"meta": dict(meta)},
    }


def _ready_nodes(address: str) -> list[dict[str, Any]]:
    """List nodes that take raw_exec tasks; drivers are looked for after the node is ready."""
    try:
        nodes = _get(address, "nodes")
    except urllib3.exceptions.HTTPError:
        return []
    return [
        node
        for node in nodes
        if node["Status"] == "ready" and node["Drivers"].get("raw_exec", {}).get("Healthy")
    ]


@contextlib.contextmanager
def _unmounted(directory: Path) -> Iterator[None]:
    """Take down what tasks of a killed agent have left mounted, so that it can be removed."""
    try:
        yield
    finally:
        for mount in reversed(guard.mounts(directory)):
            subprocess.run(["umount", "--lazy", mount], check=True)


def _get(address: str, path: str) -> list[dict[str, Any]]:
    response = _request("GET", address, path)
    return list(response.json()) if response.status == 200 else []


def _request(method: str, address: str, path: str) -> urllib3.BaseHTTPResponse:
    return urllib3.request(method, f"{address}/v1/{path}", retries=False, timeout=10.0)
