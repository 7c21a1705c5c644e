"""A Nomad of many machines and slots that answers at once, from what it was given."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

PARSED: Final = {
    "Meta": {"account": "a0000000"},
    "TaskGroups": [{"Name": "slots", "Count": 1}],
    "UI": {"Description": "", "Links": []},
}
"""What it makes of any jobspec."""


class ManyMachines(http.server.ThreadingHTTPServer):
    """A stand-in for a Nomad.

    Args:
        machines: How many machines it has.
        slots_each: How many slots each of them offers.
    """

    daemon_threads = True

    def __init__(self, machines: int, slots_each: int) -> None:
        super().__init__(("127.0.0.1", 0), _Answering)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.requests: list[str] = []
        """Method and path of each request."""
        self.registered: list[dict[str, Any]] = []
        resources = {
            "Cpu": {"CpuShares": 400 * slots_each, "TotalCpuCores": slots_each},
            "Memory": {"MemoryMB": 4096 * slots_each},
        }
        self._meta = {"picloud_core_types": "c1", "picloud_slots": str(slots_each)}
        self._nodes = [
            {
                "ID": f"node-{number}",
                "Name": f"client{number}",
                "Status": "ready",
                "SchedulingEligibility": "eligible",
                "ModifyIndex": 7,
                "Drivers": {"raw_exec": {"Healthy": True}},
                "NodeResources": resources,
            }
            for number in range(machines)
        ]
        self._answers: dict[str, bytes] = {
            "/v1/nodes": _encoded(self._nodes),
            "/v1/jobs": b"[]",
            "/v1/allocations": b"[]",
            "/v1/jobs/parse": _encoded(PARSED),
        }

    def run(self, places: dict[str, str]) -> None:
        """Let slots run.

        Args:
            places: The burst of each place.
        """
        bursts = sorted({*places.values()})
        jobs = [
            {"ID": name, "Status": "running", "Stop": False, "CreateIndex": 1} for name in bursts
        ]
        found = [
            {
                "ID": place,
                "JobID": burst,
                "Namespace": "default",
                "NodeName": "client1",
                "ClientStatus": "running",
                "DesiredStatus": "run",
                "CreateIndex": 2,
            }
            for place, burst in places.items()
        ]
        self._answers |= {"/v1/jobs": _encoded(jobs), "/v1/allocations": _encoded(found)}

    def answer(self, method: str, path: str, body: bytes) -> bytes:
        """Return the answer to a request."""
        self.requests.append(f"{method} {path}")
        if path.startswith("/v1/node/"):
            return _encoded({"Meta": self._meta})
        if (method, path) == ("POST", "/v1/jobs"):
            self.registered.append(json.loads(body)["Job"])
            return b'{"EvalID": ""}'
        return self._answers[path]


class _Answering(http.server.BaseHTTPRequestHandler):
    server: ManyMachines
    protocol_version = "HTTP/1.1"

    def _reply(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answer = self.server.answer(self.command, urlsplit(self.path).path, body)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.send_header("X-Nomad-Index", "7")
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = do_PUT = _reply  # noqa: N815 - as http.server calls them

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextlib.contextmanager
def many_machines(machines: int, slots_each: int) -> Iterator[ManyMachines]:
    """Run a stand-in for a Nomad until the block ends."""
    server = ManyMachines(machines, slots_each)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _encoded(value: object) -> bytes:
    return msgspec.json.encode(value)
