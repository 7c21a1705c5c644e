"""A Consul with ACLs."""

from __future__ import annotations

import contextlib
import json
import uuid
from typing import TYPE_CHECKING

from tests.servers.process import HOST, binary, free_ports, scratch, server

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def guarded_consul() -> Iterator[tuple[str, str]]:
    """Run a Consul that asks for tokens; yield its address, and a token that may do everything."""
    with scratch("consul-acl") as directory:
        (http, rpc, serf), token = free_ports(3), str(uuid.uuid4())
        unused = dict.fromkeys(("https", "dns", "grpc", "grpc_tls", "serf_wan"), -1)
        config = {
            "server": True,
            "bind_addr": HOST,
            "client_addr": HOST,
            "ports": {"http": http, "server": rpc, "serf_lan": serf} | unused,
            "acl": {
                "enabled": True,
                "default_policy": "deny",
                "tokens": {"initial_management": token, "agent": token},
            },
        }
        file = directory / "consul.json"
        file.write_text(json.dumps(config))
        address = f"http://{HOST}:{http}"
        command = [binary("consul"), "agent", "-dev", f"-config-file={file}"]
        with server(command, directory=directory, url=f"{address}/v1/status/leader"):
            yield address, token
