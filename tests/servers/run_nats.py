"""NATS servers for a test: JetStream on disk, every write synced."""

import contextlib
import dataclasses
import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from picloud_driver.nats.users import authorization, user_of

from tests.servers.process import HOST, ServerProcess, binary, free_ports, scratch, server


@dataclasses.dataclass(frozen=True, kw_only=True)
class Nats:
    """A running NATS server, without streams."""

    address: str
    user: str
    token: str = dataclasses.field(repr=False)
    directory: Path
    process: ServerProcess


@dataclasses.dataclass(frozen=True, kw_only=True)
class NatsCluster:
    """Running NATS servers of one cluster, without streams."""

    addresses: tuple[str, ...]
    user: str
    token: str = dataclasses.field(repr=False)
    processes: dict[str, ServerProcess]
    """By the name of the server."""


@contextlib.contextmanager
def nats(store_bytes: int | None = None) -> Iterator[Nats]:
    """Run one NATS server; its data outlives `process.kill()` and `process.start()`.

    Args:
        store_bytes: How much it stores on disk; by default as much as there is room.
    """
    room = {} if store_bytes is None else {"max_file_store": store_bytes}
    with scratch("nats") as directory:
        port, monitor = free_ports(2)
        token = secrets.token_hex(16)
        config = _config(directory, port, monitor, token)
        config["jetstream"] |= room
        with _server(directory, config, monitor) as process:
            yield Nats(
                address=f"nats://{HOST}:{port}",
                user=user_of(token),
                token=token,
                directory=directory,
                process=process,
            )


@contextlib.contextmanager
def nats_cluster(size: int = 3) -> Iterator[NatsCluster]:
    """Run a cluster of NATS servers; each can be killed and started again with its data."""
    token = secrets.token_hex(16)
    ports = free_ports(3 * size)
    clients, monitors, routes = ports[:size], ports[size : 2 * size], ports[2 * size :]
    with scratch("nats") as directory, contextlib.ExitStack() as stack:
        processes = {}
        for number, (port, monitor) in enumerate(zip(clients, monitors, strict=True)):
            own = directory / str(number)
            own.mkdir()
            config = _config(own, port, monitor, token) | {
                "cluster": {
                    "name": "picloud",
                    "listen": f"{HOST}:{routes[number]}",
                    "routes": [f"nats://{HOST}:{route}" for route in routes],
                }
            }
            # JetStream is ready only once most servers run, so that is not what is waited for.
            started = _server(own, config, monitor, "/varz")
            processes[config["server_name"]] = stack.enter_context(started)
        addresses = tuple(f"nats://{HOST}:{port}" for port in clients)
        yield NatsCluster(
            addresses=addresses, user=user_of(token), token=token, processes=processes
        )


def _config(directory: Path, port: int, monitor: int, token: str) -> dict[str, Any]:
    return {
        "listen": f"{HOST}:{port}",
        "http": f"{HOST}:{monitor}",
        "server_name": f"nats-{port}",
        "max_payload": 8 * 1024 * 1024,
        "authorization": authorization([token]),
        "jetstream": {"store_dir": str(directory / "data"), "sync_interval": "always"},
    }


def _server(
    directory: Path,
    config: dict[str, Any],
    monitor: int,
    ready: str = "/healthz?js-enabled-only=true",
) -> contextlib.AbstractContextManager[ServerProcess]:
    file = directory / "nats.json"
    file.write_text(json.dumps(config))
    command = [binary("nats-server"), "--config", str(file)]
    return server(command, directory=directory, url=f"http://{HOST}:{monitor}{ready}")
