"""A NATS server for a test: JetStream on disk, every write synced."""

import contextlib
import dataclasses
import json
import secrets
from collections.abc import Iterator
from pathlib import Path

from tests.servers.process import HOST, ServerProcess, binary, free_ports, scratch, server


@dataclasses.dataclass(frozen=True, kw_only=True)
class Nats:
    """A running NATS server, without streams."""

    address: str
    token: str = dataclasses.field(repr=False)
    directory: Path
    process: ServerProcess


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
        config = directory / "nats.json"
        config.write_text(
            json.dumps(
                {
                    "listen": f"{HOST}:{port}",
                    "http": f"{HOST}:{monitor}",
                    "server_name": f"nats-{port}",
                    "max_payload": 8 * 1024 * 1024,
                    "authorization": {"token": token},
                    "jetstream": {
                        "store_dir": str(directory / "data"),
                        "sync_interval": "always",
                        **room,
                    },
                }
            )
        )
        with server(
            [binary("nats-server"), "--config", str(config)],
            directory=directory,
            url=f"http://{HOST}:{monitor}/healthz?js-enabled-only=true",
        ) as process:
            yield Nats(
                address=f"nats://{HOST}:{port}", token=token, directory=directory, process=process
            )
