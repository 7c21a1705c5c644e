"""A server of one's own, as a real process."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from cloud import CloudException
from cloud._client import functions
from cloud._client.client import Client
from cloud._client.local_server import LocalServer, _last_words
from cloud._client.simulator import Simulator
from cloud._config.configuration import Config
from cloud._http.transport import ServerAddress

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SIMULATED = """
import os, signal, sys, cloud
from cloud._client import functions
cloud.start_simulator()
print(functions._current.simulator._server._process.pid, flush=True)
if sys.argv[1] == "fork" and os.fork() == 0:
    sys.stdin.read()
    os._exit(0)
if sys.argv[1] != "exit":
    os.kill(os.getpid(), signal.SIGKILL)
"""


def _until(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def _start(tmp_path: Path, *arguments: str) -> LocalServer:
    own = ["--data", str(tmp_path / "data"), "--port", "0", *arguments]
    return LocalServer.start(own, tmp_path / "server.log")


def test_a_server_that_says_ready_answers(tmp_path: Path) -> None:
    """Its URL and key work at once; after stop the process has ended."""
    server = _start(tmp_path)
    client = Client(ServerAddress(server.ready.url, server.ready.key), Config())

    jid = client.call(pow, 2, 10)
    status = client.status(jid)
    client.close()
    server.stop()

    assert jid == 1
    assert status in ("queued", "processing", "done")
    assert server.wait() == 0


def test_a_server_that_refuses_is_told_in_its_own_words(tmp_path: Path) -> None:
    """A port that is taken is named."""
    server = _start(tmp_path)
    port = server.ready.url.rpartition(":")[2]
    other = tmp_path / "other"
    other.mkdir()

    with pytest.raises(CloudException, match=f"Cannot listen on 127.0.0.1:{port}"):
        _start(other, "--port", port)

    server.stop()


@pytest.mark.parametrize(
    ("log", "told"),
    [
        ("Traceback ...\nModuleNotFoundError: No module named 'falcon'\n", r"picloud\[server\]"),
        ("warning\nNo room on the disk.\n\n", "No room on the disk"),
        ("", "ended before it was ready"),
    ],
)
def test_the_last_words_of_a_server(tmp_path: Path, log: str, told: str) -> None:
    """Missing packages are named by the extra that has them; else the last line counts."""
    file = tmp_path / "server.log"
    file.write_text(log)

    assert re.search(told, _last_words(file))


def test_windows_is_told_plainly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client works there, a server does not."""
    monkeypatch.setattr(sys, "platform", "win32")

    with pytest.raises(CloudException, match="Windows"):
        _start(tmp_path)


@pytest.mark.parametrize("how", ["exit", "kill", "fork"])
def test_a_simulator_ends_with_its_script(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the script ends, is killed with -9, or is survived by a child it forked."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with subprocess.Popen(
        [sys.executable, "-c", SIMULATED, how], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as script:
        assert script.stdout is not None
        pid = int(script.stdout.readline())
        status = script.wait()

        gone = _until(lambda: _is_gone(pid))

    assert gone
    assert status == (0 if how == "exit" else -signal.SIGKILL)


def test_a_simulator_runs_jobs_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same functions, on this machine; the directory is gone afterwards."""
    monkeypatch.setattr(functions, "_current", functions._Current())
    functions.start_simulator()
    assert functions._current.simulator is not None
    data = functions._current.simulator._data

    value = functions.result(functions.call(pow, 2, 10), timeout=60)
    functions.start_simulator()
    same = functions._current.simulator._data == data
    functions.close()

    assert value == 1024
    assert same
    assert not data.exists()
    assert not functions.is_simulated()


def test_a_forked_child_leaves_the_simulator_alone(tmp_path: Path) -> None:
    """Only the process that started it may stop it."""
    simulator = Simulator()

    child = os.fork()
    if child == 0:
        simulator.stop()
        os._exit(0)
    os.waitpid(child, 0)
    client = Client(simulator.address, Config())
    jid = client.call(abs, -1)
    client.close()
    simulator.stop()

    assert jid == 1
