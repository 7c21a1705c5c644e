"""The server process: its options, its processes' numbers, and what it refuses to start with."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import closing
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import urlopen

import psutil
import pytest
from picloud_api.app import Application
from picloud_api.server.gunicorn_server import Served, Worker
from picloud_api.settings import read
from picloud_driver.stack.addresses import Addresses, Bucket, VendorServer
from picloud_model import wire

from tests.polling import until
from tests.unit.api.absent_servers import SERVERS
from tests.unit.worker.worker import alive

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ORPHAN = """
import subprocess, sys
child = "import time\\nfrom picloud_api.server.gunicorn_server import die_with_parent\\n" \\
    "die_with_parent()\\nprint('up', flush=True)\\ntime.sleep(60)"
process = subprocess.Popen([sys.executable, "-c", child], stdout=subprocess.PIPE, text=True)
process.stdout.readline()
print(process.pid)
"""


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A socket that listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield server


def served(data: Path, listener: socket.socket, processes: int) -> Any:
    """Return gunicorn's view of a server with so many processes."""
    arguments = ["--data", str(data), "--stack", "hashicorp", "--processes", str(processes)]
    return Served(read(arguments, SERVERS.environment()), [listener], "http://127.0.0.1:1")


def test_gunicorn_serves_our_socket(tmp_path: Path, listener: socket.socket) -> None:
    """Gunicorn is given the open socket, the processes and the application."""
    server = served(tmp_path, listener, 3)

    assert server.cfg.bind == [f"fd://{listener.fileno()}"]
    assert (server.cfg.workers, server.cfg.worker_class) == (3, Worker)
    assert isinstance(server.load(), Application)
    assert server.affinity.count == 3
    server.affinity.close()


def test_one_process_needs_no_affinity(tmp_path: Path, listener: socket.socket) -> None:
    """Connections of a single process move nowhere."""
    assert served(tmp_path, listener, 1).affinity is None


def test_a_process_takes_the_number_of_the_one_it_replaces(
    tmp_path: Path, listener: socket.socket
) -> None:
    """The numbers in use stay as they are."""
    server = served(tmp_path, listener, 3)
    others = {10: SimpleNamespace(number=0), 11: SimpleNamespace(number=2)}
    worker = SimpleNamespace(number=-1)

    server.cfg.pre_fork(SimpleNamespace(WORKERS=others), worker)

    assert worker.number == 1
    server.affinity.close()


def test_a_process_that_ended_owns_no_account(tmp_path: Path, listener: socket.socket) -> None:
    """Its accounts belong to another process at once."""
    server = served(tmp_path, listener, 2)
    for number in (0, 1):
        server.affinity.heartbeat(number)

    server.cfg.child_exit(None, SimpleNamespace(number=0))

    assert {server.affinity.owner_of(str(account)) for account in range(50)} == {1}
    server.affinity.close()


def test_a_port_in_use_is_refused(tmp_path: Path, listener: socket.socket) -> None:
    """The message names the address and the option that helps; there is no traceback."""
    port = listener.getsockname()[1]
    command = ["-m", "picloud_api", "--data", str(tmp_path), "--port", str(port)]

    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, check=False, timeout=30
    )

    assert done.returncode == 1
    assert f"Cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "Choose another port with --port." in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has this signal")
def test_a_process_ends_with_its_parent() -> None:
    """A process whose parent was killed gets a signal, so that no port stays in use."""
    done = subprocess.run(
        [sys.executable, "-c", ORPHAN], capture_output=True, text=True, check=True, timeout=30
    )
    pid = int(done.stdout)

    until(lambda: not psutil.pid_exists(pid) or not alive(psutil.Process(pid)), "it has ended")


def test_a_server_whose_services_are_away_waits_for_them(tmp_path: Path) -> None:
    """It starts, and its log and `/v1/health` say what is missing."""
    with closing(socket.create_server(("127.0.0.1", 0))) as closed:
        away = f"http://127.0.0.1:{closed.getsockname()[1]}"
    servers = Addresses(
        consul=VendorServer(away),
        vault=VendorServer(away, "token"),
        nomad=VendorServer(away),
        nats=VendorServer(away.replace("http", "nats")),
        s3=Bucket(away, "box"),
    )
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "picloud_api", "--stack", "hashicorp", "--port", str(port)]
    log = tmp_path / "log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [*command, "--data", str(tmp_path / "data")],
            env=servers.environment() | {"PATH": os.environ["PATH"]},
            stderr=stream,
        )
    try:
        until(lambda: _health(port) is not None, "the server serves", 40)
        health = _health(port)
        assert health is not None
        assert not health.healthy
        assert "consul" in log.read_text().lower()
    finally:
        process.terminate()
        process.wait(20)


def _health(port: int) -> wire.Health | None:
    try:
        with urlopen(f"http://127.0.0.1:{port}/v1/health", timeout=5) as reply:
            data = reply.read()
    except HTTPError as error:
        data = error.read()
    except OSError:
        return None
    return wire.decode(data, wire.Health, wire.JSON)
