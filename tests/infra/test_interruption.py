"""Spot instances that AWS takes away: machines that drain themselves when it announces that."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

from tests.contract.scripted_server import ScriptedAnswer, ScriptedServer
from tests.infra import programs
from tests.infra.cluster import LATE_S, ROOT, SLOTS, SUBNET
from tests.infra.programs import LONG
from tests.polling import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.infra.cluster import Cluster

pytestmark = pytest.mark.timeout(600)

PROGRAM: Final = ROOT / "packer" / "node" / "boot" / "interruption.py"
ANNOUNCED: Final = '{"action": "terminate", "time": "2026-11-30T12:00:00Z"}'
SPOT: Final = ("spot", str(SUBNET[24]))
"""A client with a stand-in for the metadata service."""
CLIENT: Final = """
import pathlib, signal, sys, time

signal.signal(signal.SIGINT, lambda *_: exit(7))
pathlib.Path(sys.argv[1]).touch()
time.sleep(60)
"""
METADATA: Final = f"""
import http.server, os

class Metadata(http.server.BaseHTTPRequestHandler):
    def answer(self, status, text=""):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def do_PUT(self):
        life = self.headers["X-aws-ec2-metadata-token-ttl-seconds"]
        self.answer(200 if self.path == "/latest/api/token" and life else 400, "token")

    def do_GET(self):
        if self.headers["X-aws-ec2-metadata-token"] != "token":
            self.answer(401)
        elif self.path.endswith("/spot/instance-action") and os.path.exists("/tmp/notice"):
            self.answer(200, {ANNOUNCED!r})
        else:
            self.answer(404)

http.server.HTTPServer(("127.0.0.1", 1080), Metadata).serve_forever()
"""


def test_a_client_is_drained_when_it_is_announced(tmp_path: Path) -> None:
    """By SIGINT, once; before that nothing happens, also while the service is away."""
    client = subprocess.Popen([sys.executable, "-c", CLIENT, str(tmp_path / "ready")])
    until((tmp_path / "ready").exists, "the client handles signals")
    (tmp_path / "nomad-client").write_text(f"{client.pid}\n")
    token, none = ScriptedAnswer(200, b"t"), ScriptedAnswer(404)

    with ScriptedServer(
        ScriptedAnswer(503), token, none, token, ScriptedAnswer(200, ANNOUNCED.encode())
    ) as metadata:
        options = [
            "--metadata",
            metadata.url.removeprefix("http://"),
            "--run",
            str(tmp_path),
            "--every",
            "0.01",
        ]
        done = subprocess.run(
            [sys.executable, "-P", str(PROGRAM), *options],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    assert (done.returncode, client.wait(timeout=30)) == (0, 7)
    assert (
        "does not say if this machine is taken away: PUT /latest/api/token has status 503"
        in done.stderr
    )
    assert done.stdout == f"AWS takes this machine away, so it is drained: {ANNOUNCED}\n"
    assert (tmp_path / "interrupted").read_text() == f"{ANNOUNCED}\n"


def test_a_client_that_does_not_run_is_reported(tmp_path: Path) -> None:
    """It will not start either, as the machine is about to end."""
    answers = (ScriptedAnswer(200, b"t"), ScriptedAnswer(200, ANNOUNCED.encode()))

    with ScriptedServer(*answers) as metadata:
        options = ["--metadata", metadata.url.removeprefix("http://"), "--run", str(tmp_path)]
        done = subprocess.run(
            [sys.executable, "-P", str(PROGRAM), *options],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    assert done.returncode == 1
    assert "Nomad does not run: " in done.stderr
    assert (tmp_path / "interrupted").exists()


def test_a_spot_instance_drains_itself_under_a_map(cluster: Cluster) -> None:
    """It takes no token. The map ends, and so does Nomad's client, which stays away."""
    name, address = SPOT
    interruption = "/opt/picloud/boot/interruption.py --metadata 127.0.0.1:1080"
    python = f"/opt/picloud/venv/bin/python -c {shlex.quote(METADATA)}"
    cluster.start(name, "clients", address, core_type="c1", slots=SLOTS)
    try:
        until(lambda: cluster.client_state(name) == ("ready", "eligible"), f"{name} joins", LATE_S)
        for command in (python, interruption):
            cluster.execute(name, f"nohup {command} > /dev/null 2>> /tmp/errors &")
        (mapping,) = programs.begin(cluster, LONG)

        cluster.execute(name, "touch /tmp/notice")

        until(lambda: cluster.client_state(name)[1] == "ineligible", "it gets no slots", LATE_S)
        assert len(json.loads(cluster.result(mapping))) == 100
        until(lambda: cluster.client_state(name)[0] == "down", "its client has ended", LATE_S)
        assert "AWS takes this machine away" in cluster.log(name)
    finally:
        cluster.remove(name)
